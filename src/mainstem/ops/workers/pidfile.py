"""A file with process ids, so that scripts need not read the log: whom to signal, and who works."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mainstem.errors import DefinitionError


class PidFile:
    """The id of the process that runs the services; then, a line each, those of the workers that are there, by number.

    It is replaced as a whole, so that nobody reads half of it.
    """

    def __init__(self, path: Path | None, pid: int) -> None:
        """With no path nothing is written."""
        self._path = path
        self._pid = pid

    def write(self, workers: Mapping[int, int]) -> None:
        """Say who is there: process ids by the number of the worker."""
        if self._path is None:
            return
        partial = self._path.with_name(self._path.name + ".partial")
        partial.write_text("".join(f"{pid}\n" for pid in (self._pid, *(workers[n] for n in sorted(workers)))))
        partial.replace(self._path)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Write it, and remove it when the block ends. Raises ``DefinitionError`` where it cannot be written."""
        try:
            self.write({})
        except OSError as error:
            raise DefinitionError(
                "the file for the process ids cannot be written",
                where=str(self._path),
                why=str(error),
                remedy="name one with --pid-file in a folder that is there and may be written to",
            ) from error
        try:
            yield
        finally:
            if self._path is not None:
                self._path.unlink(missing_ok=True)
