"""What refers to what: chains and forks have an end, whoever registers them."""

from mainstem.registry.contents import Config, DeleteSubject, DeleteVersion, Limits, Register, SetConfig
from mainstem.schemas.documents import Schema
from tests.rooms.registry.played import Step, play, record, refer


def test_a_chain_of_references_has_an_end() -> None:
    """Direct and indirect references are counted together, and chains are not followed for ever."""
    chain: list[Step] = [Register("s0", record("S0", "text"))]
    for each in range(1, 6):
        before = f"S{each - 1}"
        schema = record(f"S{each}", f"inner:{before}", references=[refer(before, f"s{each - 1}")])
        chain.append(Register(f"s{each}", schema))
    assert play(chain, Limits(references=4)) == [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), 42209]
    assert play(chain, Limits(reference_depth=3)) == [(1, 1), (2, 1), (3, 1), (4, 1), 42209, 42201]


def test_a_chain_of_references_has_an_end_in_whatever_order_they_are_followed() -> None:
    """Who refers to the middle of a chain first does not make the whole of it shorter."""
    chain: list[Step] = [Register("s0", record("S0", "text"))]
    for each in range(1, 4):
        before = f"S{each - 1}"
        schema = record(f"S{each}", f"inner:{before}", references=[refer(before, f"s{each - 1}")])
        chain.append(Register(f"s{each}", schema))
    top = record("S4", "inner:S3", references=[refer("S1", "s1"), refer("S3", "s3")])
    assert play([*chain, Register("s4", top)], Limits(reference_depth=3))[-1] == 42209


def test_references_that_fork_at_each_step_are_followed_once() -> None:
    """Forty steps of two each are eighty schemas, and not a way for each combination of them."""
    steps: list[Step] = [Register(f"{side}0", Schema(f'{{"title":"{side}"}}', "JSON")) for side in "ab"]
    for each in range(1, 40):
        both = (refer(f"a{each - 1}", f"a{each - 1}"), refer(f"b{each - 1}", f"b{each - 1}"))
        steps += [Register(f"{side}{each}", Schema(f'{{"title":"{side}{each}"}}', "JSON", both)) for side in "ab"]
    assert play(steps)[-1] == (80, 1)


def test_a_name_means_one_schema() -> None:
    """Two references of one name are none, whatever they lead to."""
    both = (refer("A", "a"), refer("A", "b"))
    steps: list[Step] = [Register("a", record("A", "text")), Register("b", record("A", "text"))]
    assert play([*steps, Register("c", record("C", "inner:A", references=both))]) == [(1, 1), (1, 1), 42201]


def test_a_subject_that_refers_to_itself_can_go() -> None:
    """Together its versions hold up nobody; one by one the later has to go before the earlier."""
    steps: list[Step] = [
        SetConfig(Config(compatibility_level="NONE")),
        Register("a", record("A", "text")),
        Register("a", record("B", "inner:A", references=[refer("A", "a", 1)])),
    ]
    assert play([*steps, DeleteVersion("a", 1)])[-1] == 42206
    assert play([*steps, DeleteSubject("a"), DeleteSubject("a", permanent=True)])[-2:] == [[1, 2], [1, 2]]
