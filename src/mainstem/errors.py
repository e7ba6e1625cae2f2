"""Errors a person can act on.

Every error says what was refused, where, the likely cause and what to do next, and carries a stable code that is
an anchor in ``docs/errors.md``.

    MainstemError
    ├── DefinitionError            a mistake in a declaration, raised when it is registered
    ├── StartRefused               bad configuration; carries all its faults at once
    ├── EventRefused               an event that cannot be encoded, keyed or routed
    ├── DecodingFailed             bytes that are not what their envelope says
    │   └── VersionUnknown         an event of a later major version than this program knows
    ├── SchemaRefused              a text that is no schema, or one that passes a bound
    ├── RegistryRefused            what a registry of schemas answers to a request that it does not grant
    ├── ServerAway                 an HTTP server cannot be reached; it may answer later
    ├── BrokerError
    │   ├── BrokerAway             it does not answer; it may do so later
    │   ├── NotAllowed             the cluster refuses it to this user, or does not know the user
    │   ├── UnknownTopic           no such topic or partition
    │   ├── TopicExists            created already, with other properties
    │   ├── OffsetOutOfRange       retention has passed this offset, or it lies beyond the end
    │   ├── RecordTooLarge         more bytes than the topic takes
    │   ├── Fenced                 another owner has taken the task over: nothing of this commit happened
    │   ├── CommitRefused          nothing of this commit happened
    │   ├── CommitUnknown          whether it happened is not known: never go on from memory
    │   ├── MembershipLost         the group has expelled this member
    │   └── StoreRefused           a store of another service, or of another number of tasks
    ├── DatabaseError
    │   ├── SQLiteTooOld           a SQLite that can lose committed data when several processes checkpoint
    │   ├── WrongFileFormat        a file of another version, or not ours
    │   ├── NetworkFileSystem      locks and shared memory do not work there
    │   ├── DiskFull               refused before anything was acknowledged
    │   ├── DatabaseMoved          the data is on another broker now, or on its way there
    │   └── DatabaseFailed         an I/O error: the process must not go on with this file
    ├── Outdated                   a task that a newer definition or library has run: it is given back
    ├── HandlerTimeout             a handler took longer than its time-out
    ├── CallRefused                a call that was not made, because a guard stood before it
    │   ├── LimitExceeded          over a rate limit
    │   ├── BreakerOpen            its circuit breaker is open
    │   ├── BulkheadFull           as many as may be are under way, and as many as may wait do
    │   ├── NoBackend              none of the backends is fit
    │   └── EffectRefused          it would have reached outside, in a replay
    ├── CallTimeout                a call took longer than its time limit
    ├── IncarnationOver            a context used after its task was lost
    ├── LeaseTaken                 a lease that another holds
    ├── LeaseLost                  a lease that is not held any more
    ├── NotFound                   a command named something that is not there
    └── NotAnswered                a command was sent to a group, and nobody has taken it up yet
"""

from typing import ClassVar

_NEXT_LINE = "\n       "


class MainstemError(Exception):
    """The root of all errors of Mainstem.

    ``what`` says what was refused, ``where`` names topic, partition, offset, type or handler, ``why`` the likely
    cause, ``remedy`` what to do next. ``code`` is stable and is an anchor in ``docs/errors.md``.
    """

    code: ClassVar[str] = "mainstem"

    def __init__(self, what: str, *, where: str = "", why: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.why = why
        self.remedy = remedy

    def __str__(self) -> str:
        lines = [f"{self.what} [{self.code}]"]
        lines += [
            f"  {label}: " + text.replace("\n", _NEXT_LINE)
            for label, text in (("where", self.where), ("why", self.why), ("next", self.remedy))
            if text
        ]
        return "\n".join(lines)


class DefinitionError(MainstemError):
    """A declaration that cannot work; raised where it is written, never at the first message."""

    code = "definition"


class StartRefused(MainstemError):
    """The service does not start. ``faults`` lists every fault found, so that all can be mended at once."""

    code = "start-refused"

    def __init__(self, what: str, faults: tuple[MainstemError, ...]) -> None:
        super().__init__(what)
        self.faults = faults

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(f"- {fault}" for fault in self.faults)])


class EventRefused(MainstemError):
    """An event that cannot be encoded, keyed or routed; nothing was published."""

    code = "event-refused"


class DecodingFailed(MainstemError):
    """Bytes that are not what their envelope says; the record is parked with its bytes intact."""

    code = "decoding-failed"


class VersionUnknown(DecodingFailed):
    """An event of a later major version than this program knows; a dead letter, unless the retry policy names this."""

    code = "version-unknown"


class SchemaRefused(MainstemError):
    """A text that is no schema of its format, or one that passes a bound; ``where`` is the place in it."""

    code = "schema-refused"


class RegistryRefused(MainstemError):
    """What a registry of schemas answers to a request that it does not grant.

    ``error_code`` is the number in its answer: its first three digits are the HTTP status, the others say more.
    """

    code = "registry-refused"

    def __init__(self, what: str, error_code: int, *, where: str = "", why: str = "", remedy: str = "") -> None:
        super().__init__(what, where=where, why=why, remedy=remedy)
        self.error_code = error_code


class ServerAway(MainstemError):
    """An HTTP server cannot be reached, or says that it cannot answer just now; it may do so later."""

    code = "server-away"


class BrokerError(MainstemError):
    """What a broker refuses."""

    code = "broker"


class BrokerAway(BrokerError):
    """The broker does not answer; it may do so later."""

    code = "broker-away"


class NotAllowed(BrokerError):
    """The cluster refuses this to the user that the client is, or does not take it for that user at all."""

    code = "not-allowed"


class UnknownTopic(BrokerError):
    """No such topic or partition."""

    code = "unknown-topic"


class TopicExists(BrokerError):
    """The topic exists with other properties."""

    code = "topic-exists"


class OffsetOutOfRange(BrokerError):
    """Retention has passed this offset, or it lies beyond the end of the partition."""

    code = "offset-out-of-range"


class RecordTooLarge(BrokerError):
    """The record has more bytes than the topic takes."""

    code = "record-too-large"


class Fenced(BrokerError):
    """Another owner has taken the task over; nothing of this commit happened."""

    code = "fenced"


class CommitRefused(BrokerError):
    """Nothing of this commit happened; the task starts again from the last one."""

    code = "commit-refused"


class CommitUnknown(BrokerError):
    """Whether this commit happened is not known; the task is lost: fence, read positions and stores again."""

    code = "commit-unknown"


class MembershipLost(BrokerError):
    """The group has expelled this member; it must join again."""

    code = "membership-lost"


class StoreRefused(BrokerError):
    """The store belongs to another service, or was created for another number of tasks."""

    code = "store-refused"


class DatabaseError(MainstemError):
    """What the SQLite file refuses."""

    code = "database"


class SQLiteTooOld(DatabaseError):
    """This SQLite can lose committed data when several processes write and checkpoint one file."""

    code = "sqlite-too-old"


class WrongFileFormat(DatabaseError):
    """The file is of another format version, or is not a Mainstem file."""

    code = "wrong-file-format"


class NetworkFileSystem(DatabaseError):
    """The file lies on a network file system, where locks and shared memory do not work."""

    code = "network-file-system"


class DiskFull(DatabaseError):
    """No space left; nothing that was refused has been acknowledged."""

    code = "disk-full"


class DatabaseMoved(DatabaseError):
    """The data of the file is on another broker now, or on its way there; the file takes nothing any more."""

    code = "database-moved"


class DatabaseFailed(DatabaseError):
    """An I/O or fsync error: what the kernel still holds is unknown, so the process must not go on with the file."""

    code = "database-failed"


class Outdated(MainstemError):
    """A newer definition of the service, or a newer library, has run the task; this process gives it back."""

    code = "outdated"


class HandlerTimeout(MainstemError):
    """A handler took longer than its time-out."""

    code = "handler-timeout"


class CallRefused(MainstemError):
    """A guard stood before a call, which was not made: nothing has happened at the other side.

    ``retry_after_seconds`` is when to try again, where that is known.
    """

    code = "call-refused"

    def __init__(
        self, what: str, *, where: str = "", why: str = "", remedy: str = "", retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(what, where=where, why=why, remedy=remedy)
        self.retry_after_seconds = retry_after_seconds


class LimitExceeded(CallRefused):
    """As much as a rate limit allows was asked for already."""

    code = "limit-exceeded"


class BreakerOpen(CallRefused):
    """The circuit breaker before a dependency is open, or half-open and its probes are under way."""

    code = "breaker-open"


class BulkheadFull(CallRefused):
    """As many calls or connections as a bulkhead allows are under way, and as many as may wait do."""

    code = "bulkhead-full"


class NoBackend(CallRefused):
    """There is no backend, or none of them is fit to take a call."""

    code = "no-backend"


class EffectRefused(CallRefused):
    """In a replay, a call that would have reached outside; nothing was called."""

    code = "effect-refused"


class CallTimeout(MainstemError, TimeoutError):
    """A call took longer than its time limit; whether it has had its effect at the other side is not known."""

    code = "call-timeout"


class IncarnationOver(MainstemError):
    """A context was used after its task was lost; its writes would belong to nobody."""

    code = "incarnation-over"


class LeaseTaken(MainstemError):
    """A lease is held by another, and was not waited for, or not for so long."""

    code = "lease-taken"


class LeaseLost(MainstemError):
    """A lease is not held any more: another may hold it by now, with a greater token."""

    code = "lease-lost"


class NotFound(MainstemError):
    """A command named something that is not there."""

    code = "not-found"


class NotAnswered(MainstemError):
    """A command waits in the inbox of a group, and nobody has taken it up within the time allowed."""

    code = "not-answered"
