"""What was registered before, as a lock file or a folder has it, and what has become of it."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from mainstem.clock import SystemClock
from mainstem.errors import DefinitionError, NotFound
from mainstem.ops.schema.checking import BREAKS, UNKNOWN, Checked, Outcome, check_all, waited_for
from mainstem.ops.schema.contracts import Contracts, Direction
from mainstem.ops.schema.revisions import Revision
from mainstem.registry import LocalRegistry
from mainstem.registry.contents import Changes, Contents, InMemory, Register, RegistryError, Version, given_ids
from mainstem.registry.folder import FolderRegistry, rows_of
from mainstem.schemas.registries import LOCK_NAME, Locked, LockFile
from mainstem.service.promises import Stated

Past: TypeAlias = LockFile | Contents
"""Schemas that were registered: by their digests, or all of them."""


async def past_at(place: str, folder: Path | None) -> Past:
    """What stood somewhere: at ``git:revision[:path]``, in a folder, or in a lock file.

    Without a path that is the ``folder`` that is the registry now, or else the lock file.
    """
    revision = Revision.parse(place, str(folder or LOCK_NAME))
    if revision is None:
        return await present(Path(place.removeprefix("folder:")))
    files = await revision.files()
    if "" in files:
        return LockFile.parsed(files[""], str(revision))
    return Contents(rows_of(files, str(revision)).rows)


async def present(path: Path) -> Past:
    """What stands in a folder or a lock file now. Raises ``NotFound`` where there is neither."""
    if await asyncio.to_thread(path.is_dir):
        return await FolderRegistry(path, SystemClock()).caught_up()
    if await asyncio.to_thread(path.is_file):
        return LockFile.read(path)
    raise NotFound(
        "there is no lock file, and no folder of schemas",
        where=str(path),
        remedy="name one of them, or a revision: git:origin/main, git:origin/main:schemas",
    )


async def check_against(past: Past, stated: Sequence[Stated], contracts: Contracts) -> list[Checked]:
    """What becomes of each type, compared with what was registered."""
    if isinstance(past, LockFile):
        return [_locked(each, past, contracts) for each in stated]
    return await check_all(stated, LocalRegistry(InMemory(SystemClock(), past.rows)), contracts)


def _locked(stated: Stated, lock: LockFile, contracts: Contracts) -> Checked:
    known = [each for each in lock.schemas if each.subject == stated.subject]
    latest = known[-1].version if known else None
    readers = contracts.checked(stated)
    outcome: Outcome = UNKNOWN
    problems: tuple[str, ...] = (
        "it has changed, and a lock file does not say what it was: compare with a registry, or with a folder",
    )
    if not known or lock.find(stated.subject, stated.schema) is not None:
        outcome, problems = "unchanged" if known else "new", ()
    before = waited_for(readers)
    first: Direction | None = "readers" if before else None
    publisher, unasked = stated.owner, contracts.unasked
    return Checked(stated.subject, outcome, latest, problems, readers, publisher, first, before, unasked=unasked)


def compared(past: Past, now: Past) -> list[Checked]:
    """What has become of everything that was registered, and whether what came later may follow it."""
    if isinstance(past, LockFile) and isinstance(now, LockFile):
        return list(_locks(past, now))
    if isinstance(past, LockFile) or isinstance(now, LockFile):
        raise DefinitionError(
            "a lock file cannot be compared with a folder of schemas",
            remedy="name both: --registry folder:schemas --against git:main:schemas",
        )
    return list(_contents(past, now))


def _locks(past: LockFile, now: LockFile) -> Iterator[Checked]:
    before, after = _by_subject(past), _by_subject(now)
    for subject in sorted(before | after):
        known, found = before.get(subject, {}), after.get(subject, {})
        problems = tuple(
            f"version {number} is {'gone' if number not in found else 'not what it was'}"
            for number, locked in known.items()
            if found.get(number) != locked
        )
        last = max(known, default=None)
        if problems:
            yield Checked(subject, BREAKS, last, problems, ())
        elif not known:
            yield Checked(subject, "new", None, (), ())
        else:
            # What stands in a lock file has been registered, so that it was compared then.
            yield Checked(subject, "unchanged" if known == found else "may follow", last, (), ())


def _by_subject(lock: LockFile) -> dict[str, dict[int, Locked]]:
    found: dict[str, dict[int, Locked]] = {}
    for each in lock.schemas:
        found.setdefault(each.subject, {})[each.version] = each
    return found


def _contents(past: Contents, now: Contents) -> Iterator[Checked]:
    before, after = _versions(past), _versions(now)
    refused = dict(_refused(past, now))
    for subject in sorted(before | after):
        known, found = before.get(subject, {}), after.get(subject, {})
        problems = [_lost(version, found.get(number)) for number, version in known.items()]
        problems += [refused.get((subject, number), "") for number in found if number not in known]
        told = tuple(each for each in problems if each)
        last = max((number for number, each in known.items() if not each.deleted), default=None)
        grown: Outcome = "new" if not known else "unchanged" if known.keys() == found.keys() else "may follow"
        yield Checked(subject, BREAKS if told else grown, last, told, ())
    ids = {(context, number): stored.guid for context, number, stored in given_ids(now.rows)}
    for context, number, stored in given_ids(past.rows):
        if ids.get((context, number)) != stored.guid:
            what = "gone" if (context, number) not in ids else "that of another schema"
            yield Checked(f":{context}:", BREAKS, None, (f"the id {number} is {what}",), ())


def _versions(contents: Contents) -> dict[str, dict[int, Version]]:
    found: dict[str, dict[int, Version]] = {}
    for each in contents.schemas(shown="all"):
        found.setdefault(each.subject, {})[each.version] = each
    return found


def _lost(known: Version, found: Version | None) -> str:
    if found is None:
        return f"version {known.version} is gone"
    if (found.id, found.guid) != (known.id, known.guid):
        return f"version {known.version} was id {known.id} with another schema, and is id {found.id} now"
    return f"version {known.version} is deleted now" if found.deleted and not known.deleted else ""


def _refused(past: Contents, now: Contents) -> Iterator[tuple[tuple[str, int], str]]:
    """Why later versions may not follow the earlier ones, by the levels that held for these."""
    changes = Changes(past.rows)
    replayed = Contents(changes, past.limits)
    for scope in list(replayed.tables.settings.modes()):
        replayed.tables.settings.put_mode(scope, None)
    known = _versions(past)
    for scope, config in now.tables.settings.configs():
        if scope not in known and replayed.tables.settings.config(scope) is None:
            replayed.tables.settings.put_config(scope, config)
    later = [each for each in now.schemas(shown="all") if each.version not in known.get(each.subject, {})]
    for version in sorted(later, key=lambda each: (each.timestamp_ms, each.id)):
        try:
            Register(version.subject, version.schema).apply(replayed, version.timestamp_ms)
        except RegistryError as error:
            if not version.deleted:
                yield (version.subject, version.version), f"version {version.version}: {error.message}"
