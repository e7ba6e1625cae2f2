"""New and derived ids."""

import random
import threading
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from mainstem.clock import ManualClock, SystemClock
from mainstem.identifiers import Derivation, Identifiers, derive


def test_a_new_id_is_a_uuid7_of_this_millisecond() -> None:
    """The first 48 bits are the wall clock; version and variant are RFC 9562's."""
    new = Identifiers(ManualClock(start_ms=1_357_016_400_123)).new()
    assert (UUID(new).version, UUID(new).variant, str(UUID(new))) == (7, UUID(new).variant, new)
    assert UUID(new).int >> 80 == 1_357_016_400_123


def test_ids_sort_in_the_order_they_were_made() -> None:
    """Within a millisecond, across milliseconds, and when the clock goes back."""
    clock = ManualClock()
    identifiers = Identifiers(clock, random.Random(7))
    made: list[str] = []
    for step in (0, 0.001, 0, 0.5):
        clock.advance(step)
        made += [identifiers.new() for _ in range(100)]
    clock.jump(-60)
    made += [identifiers.new() for _ in range(100)]
    assert made == sorted(set(made))


def test_the_same_seed_and_clock_give_the_same_ids() -> None:
    """A simulation can be repeated; another seed gives other ids."""
    first, again, other = (Identifiers(ManualClock(), random.Random(seed)).new() for seed in (1, 1, 2))
    assert first == again != other


def test_threads_never_get_the_same_id() -> None:
    """Four threads take ids across many turns of the millisecond, and each is new."""
    identifiers, made = Identifiers(SystemClock()), [list[str]() for _ in range(4)]

    def take(into: list[str]) -> None:
        into.extend(identifiers.new() for _ in range(5_000))
        assert into == sorted(into)

    threads = [threading.Thread(target=take, args=(into,)) for into in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each for into in made for each in into}) == 20_000


def test_a_derived_id_never_changes() -> None:
    """Stored events depend on it: this is what `b2sum -l 120` says of the four parts, each behind its length."""
    assert derive("billing", "take_payment", "e-1", "0") == "eb2d97dd-3a5c-8bce-8084-710b993343e9"
    assert UUID(derive("a")).version == 8


parts = st.lists(st.text(max_size=4) | st.binary(max_size=4) | st.just("x" * 300), max_size=4)


@given(parts, parts)
def test_derived_ids_are_equal_when_their_parts_are(left: list[str | bytes], right: list[str | bytes]) -> None:
    """No two lists of parts run together, wherever they are cut."""
    as_bytes = [[part.encode() if isinstance(part, str) else part for part in side] for side in (left, right)]
    assert (derive(*left) == derive(*right)) == (as_bytes[0] == as_bytes[1])


@given(parts, parts)
def test_a_derivation_shares_its_first_parts(first: list[str | bytes], rest: list[str | bytes]) -> None:
    """Taking the first parts in once gives the same id as deriving from all of them."""
    derivation = Derivation(*first)
    assert derivation.of(*rest) == derivation.of(*rest) == derive(*first, *rest)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_the_nth_id_of_a_cause_is_the_one_of_its_number(cause: bytes, number: int) -> None:
    """The short way gives the same id as the long one, whatever the cause and however many there are."""
    derivation = Derivation("billing", "take_payment")
    assert derivation.nth(cause, number).decode() == derivation.of(cause, str(number))
