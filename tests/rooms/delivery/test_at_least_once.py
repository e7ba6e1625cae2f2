"""At least once: nothing is remembered, what fails for good is told and passed over, and the start refuses the rest."""

from collections.abc import Iterable

from mainstem.broker import Change, Ownership, Transaction
from mainstem.delivery import Context, Retry
from mainstem.testing.conformance.broker.layer import (
    Layer,
    LayeredOwnership,
    LayeredTransaction,
)
from tests.rooms.delivery.stage import Paid, Told, on, staged

TWICE = Retry.on(ValueError).inline(1)


class Forgetful(Layer):
    """A broker whose tasks take no store changes, as Kafka's at least once."""

    def ownership(self, inner: Ownership) -> Ownership:
        """Say so."""
        layered = LayeredOwnership(inner, self)
        layered.remembers = False
        return layered

    def transaction(self, inner: Transaction) -> Transaction:
        """Refuse them."""

        class Refusing(LayeredTransaction):
            def changes(self, changes: Iterable[Change]) -> None:
                assert not list(changes)

        return Refusing(inner)


async def test_what_fails_for_good_is_told_and_passed_over() -> None:
    """The event stands in the audit topic, with its bytes and its error, and the later events of its key go on."""
    runs: list[int] = []

    @on(Paid, retry=TWICE)
    async def answer(paid: Paid) -> Told:
        runs.append(paid.n)
        if paid.n == 1:
            raise ValueError("no")
        return Told(str(paid.n))

    async with staged() as stage:
        await stage.publish(Paid("a", 1), Paid("a", 2))
        counters = await stage.run(answer, delivery="at_least_once")
        assert runs == [1, 1, 2]
        assert await stage.told() == ["2"]
        [entry] = await stage.entries()
        assert entry is not None
        assert (entry.status, entry.handler, entry.failure.error) == ("discarded", "answer", "no")
        assert b'"n":1' in (entry.letter.value or b"")
        assert counters.dead_lettered == 1
        assert stage.rows("$parking") == []


async def test_the_tiers_of_the_default_policy_are_left_out() -> None:
    """Nobody has asked for a later try, so a handler without a policy of its own has its inline runs, and no more."""
    runs: list[int] = []

    @on(Paid)
    async def fail(paid: Paid) -> None:
        runs.append(paid.n)
        raise ValueError("no")

    async with staged() as stage:
        await stage.publish(Paid("a", 1))
        await stage.run(fail, delivery="at_least_once")
        assert runs == [1, 1, 1]
        assert await stage.history() == ["discarded"]


async def test_bytes_that_cannot_be_decoded_are_passed_over() -> None:
    """They are told with all they have."""

    @on(Paid)
    async def see(_paid: Paid) -> None: ...

    async with staged() as stage:
        await stage.append("orders", b"a", b"{", ce_type=b"Paid", ce_id=b"1", ce_source=b"/x", ce_specversion=b"1.0")
        await stage.run(see, delivery="at_least_once")
        [entry] = await stage.entries()
        assert entry is not None
        assert entry.letter.value == b"{"


async def test_a_checkpoint_is_refused() -> None:
    """How far a handler has come cannot be remembered; the error says what to do."""

    @on(Paid)
    async def half(paid: Paid, context: Context) -> None:
        context.publish(Told(paid.order))
        await context.checkpoint()

    async with staged() as stage:
        await stage.publish(Paid("a", 1))
        await stage.run(half, delivery="at_least_once")
        [entry] = await stage.entries()
        assert entry is not None
        assert "makes a checkpoint, and the group is delivered at least once" in entry.failure.error
        assert await stage.told() == []


async def test_a_broker_that_remembers_nothing_is_asked_to_remember_nothing() -> None:
    """Handlers run, fail, and are handed over without a single store change."""

    @on(Paid, retry=TWICE)
    async def answer(paid: Paid) -> Told:
        if paid.n == 1:
            raise ValueError("no")
        return Told(str(paid.n))

    async with staged() as stage:
        forgetful = Forgetful().broker(stage.broker)
        await stage.publish(*(Paid(str(n), n) for n in range(3)))
        await stage.run(answer, delivery="at_least_once", broker=forgetful)
        await stage.publish(Paid("b", 7))
        await stage.run(answer, delivery="at_least_once", broker=forgetful)
        assert sorted(await stage.told()) == ["0", "2", "7"]
        assert [stage.rows(store) for store in ("$handlers", "$edition", "$completed")] == [[], [], []]
