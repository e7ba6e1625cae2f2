"""What the author of a broker brings: a harness, and what it claims to be able to do."""

from collections.abc import Coroutine, Mapping
from typing import Protocol

from msgspec import Struct

from mainstem.broker import Broker, GroupSpec, Membership, TopicPartition


class Capabilities(Struct, frozen=True, kw_only=True):
    """What a backend claims. A rule that needs something it does not claim is skipped, and the skip says so.

    The flags describe the backend together with its harness: the same broker may be examined with a harness that can
    do more. Nothing that a service depends on for its correctness is a flag.
    """

    durable: bool
    """What was acknowledged is still there when every client has closed and another one opens."""

    several_clients: bool
    """:meth:`Harness.open` may be called again while another client is open, on the same data."""

    virtual_time: bool
    """:meth:`Harness.advance` passes hours in no time, so rules may let records grow old."""

    silence: bool
    """:meth:`Harness.silence` works: the death of a member that does not leave can be played."""

    gaps: bool
    """:meth:`Harness.make_gap` works: offsets can be skipped on demand."""

    maintenance_on_demand: bool
    """:meth:`Harness.maintained` returns when retention and compaction have done all that they may do."""

    retention_waits: bool
    """Retention stops at the position of a live group. Where a server of its own applies it, the runtime can only
    compare and raise the alarm."""

    pinning: bool
    """A member may pin tasks while others share the rest. Needs an assignor that knows about pins."""

    declining: bool
    """A member may decline one task and keep the others. Where the assignor is not asked, declining is leaving."""

    session_timeout_seconds: float = 2.0
    """The session timeout that the groups of the suite are joined with; the shortest that the backend takes."""

    grace_seconds: float = 2.0
    """The grace that the groups of the suite are joined with."""

    wake_seconds: float = 0.5
    """How soon a reader that waits hears of an append of another client, in the middle case of many."""

    patience_seconds: float = 20.0
    """Real seconds that a rule may take before it counts as failed; no rule waits for them to pass."""

    model_examples: int = 60
    """How many random histories the model rule tries."""


class Harness(Protocol):
    """Puts one backend at the suite's disposal. Each rule gets a new harness, or one whose names are all new.

    A method that belongs to a flag is called only when the flag is claimed.
    """

    capabilities: Capabilities

    def run(self, main: Coroutine[object, object, None]) -> None:
        """Run to the end, on an event loop of the harness's choosing; ``asyncio.run`` will do."""
        ...

    def name(self, label: str) -> str:
        """A name for a topic, a group or a service that nothing else on this backend has."""
        ...

    def now_ms(self) -> int:
        """What the backend takes for the time, in milliseconds since 1970; retention counts from it."""
        ...

    async def open(self) -> Broker:
        """An opened broker. A second call gives one that shares only the data with the first, as a process would.

        The suite closes what it opened.
        """
        ...

    async def advance(self, seconds: float) -> None:
        """Let time pass, real or virtual, for everybody: members that are alive stay alive through it.

        While a rule waits for something else, time passes by itself.
        """
        ...

    async def maintained(self) -> None:
        """Let retention and compaction happen."""
        ...

    async def silence(self, membership: Membership) -> None:
        """Let the group hear no more from this member, without a farewell, as when its process is killed or stopped.

        Its objects stay usable: the rules play the process that wakes up when its tasks have gone to others.
        """
        ...

    async def make_gap(self, at: TopicPartition) -> None:
        """Leave at least one offset of the partition to no record, behind the last record so far."""
        ...

    async def stored(self, group: GroupSpec, store: str, task: int) -> Mapping[bytes, bytes]:
        """What the committed changes of a task's store amount to."""
        ...
