"""The command ``schema give``: a type moves to another service."""

import asyncio

import click

from mainstem.ops.arguments import broker_options, json_option
from mainstem.ops.schema.opening import registry_option, written_registry
from mainstem.ops.screen import print_json
from mainstem.schemas.registries import Registered
from mainstem.service.promises import given


@click.command
@click.argument("subject")
@click.argument("service")
@registry_option
@broker_options
@json_option
def give(*, subject: str, service: str, registry: str | None, broker: str | None, dev: bool, as_json: bool) -> None:
    """Let a subject belong to another service from now on, by a version with the same schema.

    That service registers it then, and the one that had it does not start with it any more.
    """
    found = asyncio.run(_given(subject, service, registry, broker, dev=dev))
    if as_json:
        print_json({"subject": found.subject, "version": found.version, "id": found.id, "owner": service})
    else:
        click.echo(f"{found.subject} belongs to {service} from version {found.version} on")


async def _given(subject: str, service: str, named: str | None, broker: str | None, *, dev: bool) -> Registered:
    async with written_registry(named, broker, dev=dev) as registry:
        return await given(subject, service, registry)
