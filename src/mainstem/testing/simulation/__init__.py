"""Services in virtual time: an event loop that never waits, processes that die, and a world to look at."""
