"""Which functions can go wrong: methods of what is provided, of its stand-in, and functions of a module."""

import sys
from typing import Protocol

import pytest

from mainstem import IntegrationEvent, Retry, Service
from mainstem.testing import Fault, fail, simulate, simulated


class Asked(IntegrationEvent, topic="questions", key="name"):
    name: str


class Answered(IntegrationEvent, topic="answers", key="name"):
    name: str
    answer: str


class Oracle(Protocol):
    """What a handler wants; whoever answers need not extend it."""

    def answer(self, name: str) -> str: ...


class Pythia:
    """Extends nothing."""

    def answer(self, name: str) -> str:
        return polite(f"{name} will fall")

    @staticmethod
    def mumble() -> str:
        return "?"


def polite(text: str) -> str:
    """Said in the end."""
    return f"{text}, alas"


delphi = Service("delphi")
delphi.provide(Oracle, Pythia)


@delphi.on(Asked, retry=Retry.on(OSError).inline(3))
async def ask(asked: Asked, oracle: Oracle) -> Answered:
    """Ask, and tell."""
    return Answered(asked.name, oracle.answer(asked.name))


@pytest.mark.parametrize(
    "fault",
    [
        fail(Oracle.answer, OSError, times=2),
        fail(Pythia.answer, OSError("silence"), times=2, after=True),
        fail(polite, OSError, times=2),
        fail(ask, OSError, times=2),
    ],
    ids=["protocol", "class", "module", "handler"],
)
@simulated
async def test_it_fails_twice_and_then_works(fault: Fault) -> None:
    """Wherever the function is found, the handler is tried again until it no longer fails."""
    async with simulate(delphi, replace={Oracle: Pythia()}, faults=[fault]) as world:
        await world.publish(Asked("Croesus"))
        await world.settle()
        assert world.published(Answered).one().answer == "Croesus will fall, alas"
        ends = [step.about.rpartition(": ")[0] for step in world.trace.steps if step.what == "handler ends"]
        assert sum("raised OSError" in step.about for step in world.trace.steps) == 2, ends
    assert Pythia().answer("Croesus") == "Croesus will fall, alas"
    assert polite is vars(sys.modules[__name__])["polite"]


@simulated
async def test_a_static_method_stays_one() -> None:
    """It is put back as it was found."""
    before = vars(Pythia)["mumble"]
    async with simulate(delphi, replace={Oracle: Pythia()}, faults=[fail(Pythia.mumble, OSError("hush"))]):
        with pytest.raises(OSError, match="hush"):
            Pythia.mumble()
        assert Pythia.mumble() == "?"
    assert vars(Pythia)["mumble"] is before
