"""Configuration and mode: what is set, what counts, and what is refused."""

import asyncio
from typing import TypeVar

import pytest

from mainstem.clock import ManualClock
from mainstem.registry.contents import (
    Config,
    DeleteConfig,
    DeleteContext,
    DeleteMode,
    InMemory,
    Operation,
    RegistryError,
    SetConfig,
    SetMode,
    config_of,
    mode_of,
)
from mainstem.schemas.documents import Metadata

A = TypeVar("A")


def write(registry: InMemory, operation: Operation[A]) -> A:
    """The answer to an operation."""
    return asyncio.run(registry.write(operation))


def number_of(registry: InMemory, operation: Operation[object]) -> int:
    """The number of the error that an operation is refused with."""
    with pytest.raises(RegistryError) as refused:
        write(registry, operation)
    return refused.value.number


@pytest.fixture
def registry() -> InMemory:
    """An empty registry."""
    return InMemory(ManualClock())


def test_a_configuration_is_merged_and_can_be_taken_back(registry: InMemory) -> None:
    """What a request does not say stays, what it says as null goes, and the whole can be deleted."""
    write(registry, SetConfig(Config(compatibility_level="FULL", normalize=True), "a"))
    write(registry, SetConfig(Config(compatibility_group="major"), "a"))
    now = write(registry, SetConfig(Config(normalize=None), "a"))
    assert now == Config(compatibility_level="FULL", compatibility_group="major")
    assert write(registry, DeleteConfig("a")) == now
    assert number_of(registry, DeleteConfig("a")) == 40408


def test_the_nearest_configuration_counts() -> None:
    """A subject's own comes before its context's, that before the one for all, and that before the usual."""

    async def played() -> None:
        registry = InMemory(ManualClock())
        configured = (await registry.view()).configured
        assert configured.config("").compatibility_level == "BACKWARD"
        await registry.write(SetConfig(Config(compatibility_level="FULL", normalize=True)))
        await registry.write(SetConfig(Config(compatibility_level="NONE"), ":.shop:"))
        await registry.write(SetConfig(Config(compatibility_policy="LENIENT"), ":.shop:orders"))
        assert configured.config(":.shop:orders", default_to_global=True) == Config(
            compatibility_level="NONE", compatibility_policy="LENIENT", normalize=True
        )
        assert configured.config("orders", default_to_global=True).compatibility_level == "FULL"
        with pytest.raises(RegistryError, match="subject-level compatibility") as refused:
            configured.config("orders")
        assert refused.value.number == 40408

    asyncio.run(played())


def test_the_nearest_mode_counts_but_for_the_override() -> None:
    """A mode is looked for as a configuration is; READONLY_OVERRIDE for all leaves no other."""

    async def played() -> None:
        registry = InMemory(ManualClock())
        configured = (await registry.view()).configured
        await registry.write(SetMode("READONLY", ":.shop:"))
        await registry.write(SetMode("READWRITE", ":.shop:orders"))
        modes = [configured.mode(each, default_to_global=True) for each in (":.shop:a", ":.shop:orders", "orders", "")]
        assert modes == ["READONLY", "READWRITE", "READWRITE", "READWRITE"]
        with pytest.raises(RegistryError) as refused:
            configured.mode("orders")
        assert refused.value.number == 40409
        await registry.write(SetMode("READONLY_OVERRIDE"))
        assert configured.mode(":.shop:orders", default_to_global=True) == "READONLY_OVERRIDE"

    asyncio.run(played())


def test_modes_in_a_context_can_be_taken_back_together(registry: InMemory) -> None:
    """A recursive deletion takes the modes of what lies in it, and leaves those of others."""
    for each in (":.shop:", ":.shop:a", ":.other:a"):
        write(registry, SetMode("READONLY", each))
    assert write(registry, DeleteMode(":.shop:", recursive=True)) == "READONLY"
    assert number_of(registry, DeleteMode(":.shop:a")) == 40409
    assert write(registry, DeleteMode(":.other:a")) == "READONLY"


def test_what_is_configured_does_not_grow_without_end(registry: InMemory) -> None:
    """What was set before and what is set now stand in one record, which has to fit into the log."""
    half: Metadata = {"properties": {"a": "x" * 600_000}}
    write(registry, SetConfig(Config(default_metadata=half), "a"))
    assert number_of(registry, SetConfig(Config(override_metadata=half), "a")) == 42209
    write(registry, SetConfig(Config(default_metadata=None, override_metadata=half), "a"))


def test_what_is_read_only_is_not_configured(registry: InMemory) -> None:
    """In a mode that takes no writes a configuration is refused, and the mode can be changed back."""
    write(registry, SetMode("READONLY", "a"))
    assert number_of(registry, SetConfig(Config(normalize=True), "a")) == 42205
    assert number_of(registry, DeleteConfig("a")) == 42205
    write(registry, SetMode("READWRITE", "a"))
    write(registry, SetConfig(Config(normalize=True), "a"))


@pytest.mark.parametrize(
    ("operation", "number"),
    [
        (SetConfig(Config(normalize=True), "a\nb"), 42208),
        (SetConfig(Config(normalize=True), "__GLOBAL"), 42208),
        (SetConfig(Config(normalize=True), "a" * 1_001), 42208),
        (SetConfig(Config(alias=":.shop:"), "a"), 42208),
        (SetConfig(Config(default_metadata={"tags": ["a"]}), "a"), 42201),
        (SetConfig(Config(default_rule_set={"domainRules": [{"kind": "CONDITION"}]}), "a"), 42210),
        (SetMode("READONLY", "a\ud800"), 42208),
        (DeleteMode("a"), 40409),
        (DeleteContext("."), 42205),
    ],
)
def test_what_cannot_be_set_is_refused(registry: InMemory, operation: Operation[object], number: int) -> None:
    """Each mistake has the number that clients know."""
    assert number_of(registry, operation) == number


@pytest.mark.parametrize(
    ("said", "config"),
    [
        ({"compatibility": "full"}, Config(compatibility_level="FULL")),
        ({"compatibilityLevel": "NONE", "unknown": 1}, Config(compatibility_level="NONE")),
        ({"alias": None, "compatibilityPolicy": "LENIENT"}, Config(alias=None, compatibility_policy="LENIENT")),
    ],
)
def test_a_request_says_a_configuration(said: object, config: Config) -> None:
    """The level has two names, any case, and unknown members are passed over."""
    assert config_of(said) == config


@pytest.mark.parametrize(
    "said", [{"compatibility": "SOME"}, {"normalize": "yes"}, {"compatibilityPolicy": "logical"}, [], None]
)
def test_a_request_that_says_no_configuration_is_refused(said: object) -> None:
    """It is 42203."""
    with pytest.raises(RegistryError) as refused:
        config_of(said)
    assert refused.value.number == 42203


def test_a_request_says_a_mode() -> None:
    """In any case; anything else is 42204."""
    assert mode_of("import") == "IMPORT"
    with pytest.raises(RegistryError) as refused:
        mode_of(["IMPORT"])
    assert refused.value.number == 42204
