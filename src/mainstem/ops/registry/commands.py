"""The commands of the registry: ``serve`` runs it, ``password`` and ``token`` make what an account has to show."""

import asyncio
import base64
import sys
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Literal

import click
import msgspec
from msgspec import Struct

from mainstem.errors import DefinitionError
from mainstem.identifiers import unguessable
from mainstem.ops.arguments import WAITED_SECONDS, Listing, address, broker_options, broker_url, opened
from mainstem.ops.topics import changes_for
from mainstem.registry.http import AccountsFile, Exposure, Options, Password, Token
from mainstem.service import end_within, serve
from mainstem.service.registry import Surface, http_surface, schema_registry
from mainstem.settings import Settings
from mainstem.telemetry import configure_logging
from mainstem.web import Address, Tls

SALT_BYTES = 16
TOKEN_BYTES = 32


class ServeRequest(Struct, frozen=True):
    """What was typed."""

    broker: str | None
    dev: bool
    http: Address
    probes: Address | None
    accounts: Path | None
    tls_certificate: Path | None
    tls_key: Path | None
    tls_authority: Path | None
    certificate_required: bool
    proxy: tuple[str, ...]
    incompatible_code: Literal["409", "40901"]

    def exposure(self) -> Exposure:
        """Where it listens, and who is let in. Raises what stands in the way."""
        accounts = None if self.accounts is None else AccountsFile(self.accounts)
        return Exposure(self.http, self._tls(), accounts, tuple(map(ip_network, self.proxy)))

    def _tls(self) -> Tls | None:
        if self.tls_certificate is None or self.tls_key is None:
            if self.tls_certificate is not self.tls_key or self.tls_authority is not None:
                raise DefinitionError(
                    "TLS needs a certificate and its key", remedy="name --tls-certificate and --tls-key, or neither"
                )
            return None
        return Tls(self.tls_certificate, self.tls_key, self.tls_authority, self.certificate_required)


def _networks(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        try:
            ip_network(text)
        except ValueError as error:
            raise click.BadParameter(f"{error}: write 10.0.0.7 or 10.0.0.0/24") from None
    return texts


def _file(name: str, what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(name, type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE", help=what)


@click.group(cls=Listing)
def registry() -> None:
    """Run the schema registry, and make what its accounts show."""


@registry.command("serve")
@broker_options
@click.option(
    "--http",
    callback=address,
    default="127.0.0.1:8081",
    show_default=True,
    metavar="[HOST]:PORT",
    help="Answer there. Anywhere but on this machine it needs accounts, and TLS or a proxy.",
)
@click.option("--probes", callback=address, metavar="[HOST]:PORT", help="Answer /livez, /readyz and /metrics there.")
@_file("--accounts", "Who may do what; docs/registry.md says what stands in it.")
@_file("--tls-certificate", "The chain of certificates, in PEM.")
@_file("--tls-key", "Its private key, in PEM.")
@_file("--tls-authority", "Who signs the certificates of clients, in PEM.")
@click.option("--certificate-required", is_flag=True, help="Let nobody in without a certificate.")
@click.option(
    "--proxy", callback=_networks, multiple=True, metavar="NETWORK", help="Proxies that end TLS in front of it."
)
@click.option(
    "--incompatible-code",
    type=click.Choice(("409", "40901")),
    default="409",
    show_default=True,
    help="The code of a schema that may not follow: as up to Confluent 8.1, or as from 8.2 on.",
)
def serve_it(**options: object) -> None:
    """Run the schema registry until SIGTERM or Ctrl-C, then drain.

    Any number of processes may run it on one broker. Each answers everything; one of them writes. The topics of the
    registry are created where they are missing, and on the embedded broker its file.
    """
    request = msgspec.convert(options, ServeRequest)
    settings = Settings.load()
    configure_logging(settings.log_level)
    surface = http_surface(request.exposure(), Options(incompatible_code=int(request.incompatible_code)))
    asyncio.run(_serve(request, settings, surface))


async def _serve(request: ServeRequest, settings: Settings, surface: Surface) -> None:
    service = schema_registry(surface=surface)
    url = broker_url(request.broker, settings, dev=request.dev)
    async with opened(request.broker, dev=request.dev, create=True) as broker:
        await changes_for([service], broker, dry=False)
    try:
        await serve(service, broker=url, dev=request.dev, settings=settings, http=request.probes)
    finally:
        end_within(WAITED_SECONDS)


@registry.command
@click.option("--password", help="Asked for where it is left out; of a pipe the first line is taken.")
def password(*, password: str | None) -> None:
    """Print what stands in the file of accounts for a password."""
    given = _typed_password() if password is None else password
    if not given:
        raise click.UsageError("the password is empty")
    click.echo(str(Password.hashed(given, unguessable(SALT_BYTES))))


def _typed_password() -> str:
    if sys.stdin.isatty():
        asked: object = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return str(asked)
    return sys.stdin.readline().rstrip("\r\n")


@registry.command
def token() -> None:
    """Make a token: print it, for whoever is to show it, and what stands in the file of accounts."""
    made = base64.urlsafe_b64encode(unguessable(TOKEN_BYTES)).decode().rstrip("=")
    click.echo(f"token  {made}")
    click.echo(f"hash   {Token.hashed(made)}")
