"""A service: its definition, and the two things that can be done with one that runs."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import TYPE_CHECKING

from mainstem.calendar import Duration
from mainstem.events import Attributes
from mainstem.service.brokers import Backend
from mainstem.service.definition import Definition, Reach
from mainstem.service.plain import Lease, lease
from mainstem.service.publishing import Acknowledgement, Outgoing, PublishTransaction, not_running
from mainstem.settings import Settings

if TYPE_CHECKING:
    from mainstem.service.later import Later
    from mainstem.service.runtime import Floor, Running


class Service(Definition):
    """A set of handlers with a name and an owner. Making one opens and reads nothing.

    ``lanes``, ``tasks``, ``start``, ``delivery`` and ``standbys`` are those of its own group. ``grace`` is how long a
    stopping process may finish what it has begun. ``publishes`` names the event types that are published from outside
    its handlers; what it subscribes to and owns itself (``service=`` in the class line) counts as well.

    ``definition`` is a number to be raised with a change after which older code must not touch the stores any more: a
    process with a lower one gives a task back that a higher one has run, until ``mainstem groups rollback``.

    ``later_versions`` says when an event is looked at again whose version no handler knows yet, where a handler's own
    policy says nothing of that; its key waits. Without it such an event is a dead letter at once.
    """

    def publish(
        self,
        *events: object,
        subject: str | None = None,
        time: datetime | None = None,
        extensions: Mapping[str, str] | None = None,
        correlation_id: str | None = None,
    ) -> Acknowledgement:
        """Publish events from outside a handler, all of them or none; durable once the answer is there.

        ``await service.publish(event)``, or in a thread ``service.publish(event).result()``. The events are encoded at
        once, and :class:`~mainstem.errors.EventRefused` raised for one that cannot be, or that the service does not
        declare. Two calls that are not awaited one after the other may reach the log in either order.

        What is stated beside the events counts for each of them: ``subject``, what it is about; ``time``, when it
        happened, where that is not now; ``extensions``, further CloudEvents attributes by name; ``correlation_id``,
        what it belongs to, and all that follows from it.
        """
        publisher = self._reach().publisher
        outgoing = Outgoing()
        publisher.encode(events, outgoing, Attributes(subject, time, extensions, correlation_id))
        return publisher.send(outgoing)

    def transaction(self) -> PublishTransaction:
        """Gather events with ``publish`` in a block of ``async with``; at its end they are published, all or none."""
        return PublishTransaction(self._reach().publisher)

    @property
    def later(self) -> "Later":
        """Events that are put off, from outside a handler: ``await service.later.publish(event, after="14d")``."""
        # Only who puts something off needs it.
        from mainstem.service.later import Later  # noqa: PLC0415

        reach = self._reach()
        return Later(reach.publisher, reach.broker, reach.safekeeping)

    def lease(self, name: str, *, wait: bool | Duration = True) -> Lease:
        """Let one process of this service at a time run a block, while the service runs; see :func:`mainstem.lease`.

        The name is one of the service: others may have leases that are called so too.
        """
        reach = self._reach()
        return lease(f"{self.name}.{name}", broker=reach.broker, wait=wait, settings=reach.settings)

    def running(
        self,
        *,
        broker: str | Backend | None = None,
        dev: bool = False,
        consume: bool = True,
        settings: Settings | None = None,
        floor: "Floor | None" = None,
        replaced: Mapping[type[object], object] | None = None,
    ) -> "AbstractAsyncContextManager[Running]":
        """Run this service alone in this event loop; see :func:`mainstem.running`."""
        # Only who runs a service needs the runtime; who declares one should not have to load it.
        from mainstem.service.runtime import running  # noqa: PLC0415

        return running(self, broker=broker, dev=dev, consume=consume, settings=settings, floor=floor, replaced=replaced)

    def _reach(self) -> Reach:
        if not self.reaches:
            raise not_running(self.name)
        return self.reaches[-1]
