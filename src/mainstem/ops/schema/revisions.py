"""What stood in a repository at a revision: git is asked for it, and the work tree stays as it is."""

import asyncio
import os
from collections.abc import Sequence
from typing import Final, NamedTuple

from mainstem.errors import DefinitionError, NotFound

GIT: Final = "git:"


class Revision(NamedTuple):
    """A revision in the repository of the current folder, and what is looked at there, seen from this folder."""

    name: str
    path: str

    @classmethod
    def parse(cls, written: str, usual: str) -> "Revision | None":
        """``git:main``, or with a path ``git:main:schemas``; None for what begins otherwise.

        Without a path it is the ``usual`` one.
        """
        if not written.startswith(GIT):
            return None
        name, _, path = written.removeprefix(GIT).partition(":")
        if not name or name.startswith("-"):
            raise DefinitionError(f"{written!r} names no revision", remedy="write git:origin/main")
        return cls(name, os.path.relpath(path or usual))

    @property
    def _below(self) -> str:
        return "" if self.path == "." else self.path

    def __str__(self) -> str:
        return f"{GIT}{self.name}:{self.path}"

    async def files(self) -> dict[str, bytes]:
        """The files that lay there, by their path below it; a file that is meant itself has none.

        Raises ``NotFound`` where there was nothing, or there is no such revision, and ``DefinitionError`` without git
        or outside a repository.
        """
        if (await _git("rev-parse", "--git-dir")) is None:
            raise DefinitionError(
                "the current folder lies in no repository of git", where=str(self), remedy="change into one"
            )
        commit = await _git("rev-parse", "--verify", "--quiet", f"{self.name}^{{commit}}")
        if commit is None:
            raise NotFound(
                f"there is no revision {self.name!r}",
                where=str(self),
                why="its name is another one, or the clone is shallow and does not have it",
                remedy="git fetch origin main, or as the branch is called; then git:FETCH_HEAD or git:origin/main",
            )
        listed = await _git("ls-tree", "-r", "-z", commit.decode().strip(), "--", self.path)
        blobs = [each.partition(b"\t") for each in (listed or b"").split(b"\0") if b" blob " in each]
        if not blobs:
            raise NotFound(
                f"there was nothing by the name {self.path} at {self.name}",
                where=str(self),
                why="it was not committed yet, or another path is meant, as seen from the current folder",
                remedy="name the lock file or the folder of schemas: git:main:schemas.lock",
            )
        contents = await _contents([head.split()[2] for head, _, _ in blobs])
        paths = (path.decode(errors="surrogateescape") for _, _, path in blobs)
        return {path.removeprefix(self._below).lstrip("/"): data for path, data in zip(paths, contents, strict=True)}


async def _contents(blobs: Sequence[bytes]) -> list[bytes]:
    answer = await _git("cat-file", "--batch", typed=b"\n".join(blobs) + b"\n") or b""
    found: list[bytes] = []
    at = 0
    for _ in blobs:
        end = answer.index(b"\n", at)
        size = int(answer[at:end].split()[2])
        found.append(answer[end + 1 : end + 1 + size])
        at = end + size + 2
    return found


async def _git(*arguments: str, typed: bytes = b"") -> bytes | None:
    """What git says; None where it refuses."""
    pipe = asyncio.subprocess.PIPE
    try:
        git = await asyncio.create_subprocess_exec("git", *arguments, stdin=pipe, stdout=pipe, stderr=pipe)
    except FileNotFoundError as error:
        raise DefinitionError("git is not installed", why=str(error), remedy="install it, or name a folder") from error
    said, _ = await git.communicate(typed)
    return said if git.returncode == 0 else None
