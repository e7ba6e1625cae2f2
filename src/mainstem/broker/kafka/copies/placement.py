"""Who stands by for which task: every member works out the same from what the coordinator says of the group.

Nobody can tell the assignor who is to take a task over. So standbys are spread over the folders of copies that the
owner does not use; a folder's name travels in the client id of the members that use it.
"""

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

_FOLDER: Final = re.compile(r"@copies-([0-9a-zA-Z-]+)$")


class Seat(NamedTuple):
    """A member of a group: its folder of copies, if it says so, and the tasks that are assigned to it."""

    member: str
    folder: str | None
    tasks: frozenset[int]


def named_with(client_id: str, folder: str) -> str:
    """A client id that says which folder of copies its process uses."""
    return f"{client_id}@copies-{folder}"


def folder_of(client_id: str) -> str | None:
    """The folder that a client id says."""
    found = _FOLDER.search(client_id)
    return None if found is None else found[1]


def to_follow(seats: Sequence[Seat], member: str, standbys: int) -> frozenset[int]:
    """The tasks for which this member stands by: so many folders beside the owner's, and one member of each."""
    mine = next((seat.folder for seat in seats if seat.member == member), None)
    if mine is None:
        return frozenset()
    folders = {seat.folder for seat in seats if seat.folder is not None}
    neighbours = [seat.member for seat in seats if seat.folder == mine]
    return frozenset(
        task
        for seat in seats
        for task in seat.tasks
        if mine in _highest(task, folders - {seat.folder}, standbys) and member in _highest(task, neighbours, 1)
    )


def _highest(task: int, names: Iterable[str], count: int) -> list[str]:
    """Rendezvous: who comes or goes moves only what was, or becomes, theirs."""
    return sorted(names, key=lambda name: blake2b(f"{task} {name}".encode(), digest_size=8).digest())[:count]
