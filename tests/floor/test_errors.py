"""What an error says."""

from mainstem.errors import MainstemError, StartRefused, UnknownTopic


def test_an_error_says_what_where_why_and_what_next() -> None:
    """Each part that is known has a line of its own, and the code stands with what was refused."""
    error = UnknownTopic("no topic orders", where="shop.db", why="it was never created", remedy="mainstem topics apply")
    assert str(error).splitlines() == [
        "no topic orders [unknown-topic]",
        "  where: shop.db",
        "  why: it was never created",
        "  next: mainstem topics apply",
    ]


def test_a_refused_start_shows_every_fault() -> None:
    """All faults can be mended before the next try."""
    refused = StartRefused("two faults", (MainstemError("one"), MainstemError("two", why="because")))
    assert str(refused).splitlines() == [
        "two faults [start-refused]",
        "- one [mainstem]",
        "- two [mainstem]",
        "  why: because",
    ]
