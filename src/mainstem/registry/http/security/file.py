"""The file of accounts, which may change while the registry runs."""

from pathlib import Path

from mainstem.errors import MainstemError
from mainstem.registry.http.security.accounts import Accounts
from mainstem.telemetry import log


class AccountsFile:
    """The accounts in a file, as it was when it could last be read.

    Whether it has changed is seen at each request; whoever is taken out of it is not let in by the next one.
    """

    def __init__(self, path: Path) -> None:
        """Read it. Raises ``StartRefused`` or ``DefinitionError``."""
        self._path = path
        self._seen = _seen(path)
        self._accounts = Accounts.load(path)

    def current(self) -> Accounts:
        """The accounts that count now. What cannot be read changes nothing, and is told."""
        seen = _seen(self._path)
        if seen != self._seen:
            self._seen = seen
            try:
                self._accounts = Accounts.load(self._path)
                log.info("the accounts of the registry have been read anew: %s", self._path)
            except MainstemError as error:
                log.error("the accounts of the registry stay as they were: %s", error)
        return self._accounts


def _seen(path: Path) -> tuple[int, int, int] | None:
    """What is another when the file is another, also where it has been put in the place of an older one."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
