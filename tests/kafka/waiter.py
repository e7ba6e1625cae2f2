"""A worker that puts events off, hears them and says how often: ``python -m tests.kafka.waiter NAME URL``."""

import asyncio
import sys

from mainstem import Context, IntegrationEvent, Service, StoreCache, Timer
from mainstem.service import running
from mainstem.settings import Settings

SETTINGS = Settings(session_timeout_seconds=3, grace_seconds=5)


class Waiter:
    """The service, and its events."""

    def __init__(self, name: str, *, behind: float = 0.0) -> None:
        class Ordered(IntegrationEvent, topic=f"{name}-orders", key="customer", name="Ordered"):
            customer: str
            delay_ms: int = 0

        class Reminded(IntegrationEvent, topic=f"{name}-reminders", key="customer", name="Reminded"):
            customer: str
            text: str

        self.ordered, self.reminded = Ordered, Reminded
        self.heard: list[tuple[str, int]] = []
        self.ran: list[int] = []
        self.written: list[tuple[str, int | None]] = []
        service = self.service = Service(name, publishes=(Ordered, Reminded))
        for topic in ("orders", "reminders"):
            service.topic(f"{name}-{topic}", partitions=2)
        counts = service.store("counts", dict[str, int])
        totals: StoreCache[int] = StoreCache("totals", int, behind=behind)
        service.include(totals)

        @totals.writer()
        async def write(customer: str, total: int | None) -> None:
            self.written.append((customer, total))
            print("written", customer, total, flush=True)

        @service.on(Ordered, publishes=(Reminded,))
        async def put_off(order: Ordered, context: Context) -> None:
            await totals.put(context, (await totals.get(context) or 0) + 1)
            if order.delay_ms:
                context.publish_later(Reminded(order.customer, "handler"), after=order.delay_ms / 1_000)

        @service.on(Reminded)
        async def hear(reminded: Reminded, context: Context) -> None:
            known = context.get(counts, {})
            context.put(counts, known | {reminded.text: known.get(reminded.text, 0) + 1})
            self.heard.append((reminded.text, known.get(reminded.text, 0) + 1))
            print("heard", f"{reminded.customer}-{reminded.text}", known.get(reminded.text, 0) + 1, flush=True)

        @service.schedule("0 * * * *")
        async def hourly(timer: Timer) -> None:
            self.ran.append(timer.due_ms)


async def main(name: str, url: str) -> None:
    """Work until the process is ended."""
    async with running(Waiter(name, behind=2.0).service, broker=url, dev=True, settings=SETTINGS):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
