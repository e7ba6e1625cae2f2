"""The encryption of a server: which files it takes, and whether clients show a certificate too."""

import ssl
from pathlib import Path

from msgspec import Struct

from mainstem.errors import DefinitionError


class Tls(Struct, frozen=True):
    """``certificate`` is the chain of the server and ``key`` its private key, in PEM files.

    With ``authority`` a client that shows a certificate is known by its common name, if one of these authorities has
    signed it; with ``certificate_required`` a client without one is not let in at all.
    """

    certificate: Path
    key: Path
    authority: Path | None = None
    certificate_required: bool = False

    def context(self) -> ssl.SSLContext:
        """Read the files. Raises ``DefinitionError`` where they are missing or do not fit together."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
            if self.authority is not None:
                context.load_verify_locations(self.authority)
        except OSError as error:
            raise DefinitionError(
                "the certificate of the server cannot be used",
                where=f"{self.certificate}, {self.key}" + (f", {self.authority}" if self.authority else ""),
                why=str(error),
                remedy="name PEM files: the chain, its private key and, for clients that show one, their authority",
            ) from error
        if self.authority is not None:
            context.verify_mode = ssl.CERT_REQUIRED if self.certificate_required else ssl.CERT_OPTIONAL
        return context
