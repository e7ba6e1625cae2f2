"""What a process has loaded is not garbage, and need not be looked through for it again and again."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loaded_for_good() -> Iterator[None]:
    """Inside the block, the garbage collector leaves alone whatever was there when it began.

    A full collection stops every thread while it walks all objects. What modules and services are made of is 20 to 40
    ms of walking, at 10,000 events a second more than once a second: it was all there is to a p99 of 38 ms instead of
    10. What a frozen object becomes part of later, and becomes garbage, stays until the block ends; so this is for a
    process that does nothing else.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
