"""Configuration and mode: of a subject, of a context, of everything."""

import msgspec

from mainstem.registry.contents import (
    Config,
    DeleteConfig,
    DeleteMode,
    SetConfig,
    SetMode,
    config_of,
    mode_of,
)
from mainstem.registry.http.call import Call
from mainstem.registry.http.shapes import ModeRequest, ModeShape


async def config(call: Call) -> Config:
    """What is configured."""
    _allow_reading(call)
    default = call.query.flag("defaultToGlobal")
    return await call.read(lambda contents: contents.configured.config(call.subject, default_to_global=default))


async def set_config(call: Call) -> dict[str, object]:
    """Configure what the body says; the answer calls the level otherwise than that to a GET."""
    call.allow("configure", call.subject)
    said = config_of(call.document(dict[str, object]))
    if isinstance(said.alias, str) and said.alias:
        # Whoever reads the alias reads the other: nobody shall give himself a subject that is not his.
        call.allow("configure", call.within(said.alias))
    now = msgspec.to_builtins(await call.access.write(SetConfig(said, call.subject)))
    return {"compatibility" if name == "compatibilityLevel" else name: value for name, value in now.items()}


async def delete_config(call: Call) -> Config:
    """Take it back; the answer says what it was."""
    call.allow("configure", call.subject)
    return await call.access.write(DeleteConfig(call.subject))


async def mode(call: Call) -> ModeShape:
    """The mode."""
    _allow_reading(call)
    default = call.query.flag("defaultToGlobal")
    return await call.read(
        lambda contents: ModeShape(contents.configured.mode(call.subject, default_to_global=default))
    )


async def set_mode(call: Call) -> ModeShape:
    """Set it."""
    call.allow("configure", call.subject)
    said = mode_of(call.document(ModeRequest).mode)
    return ModeShape(await call.access.write(SetMode(said, call.subject, force=call.query.flag("force"))))


async def delete_mode(call: Call) -> ModeShape:
    """Take it back; the answer says what it was."""
    call.allow("configure", call.subject)
    return ModeShape(await call.access.write(DeleteMode(call.subject, recursive=call.query.flag("recursive"))))


def _allow_reading(call: Call) -> None:
    """What counts for everything, everybody may know who may read anything."""
    if call.subject or not call.account.may_somewhere("read"):
        call.allow("read", call.subject)
