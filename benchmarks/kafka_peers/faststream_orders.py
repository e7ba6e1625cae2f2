"""FastStream on confluent-kafka, a message at a time: ``address events``; prints wall and CPU seconds.

The positions are committed by the client in its own time, which is its default and its fastest way.
"""

import sys
import time

from faststream import FastStream
from faststream.confluent import KafkaBroker
from pydantic import BaseModel


class Order(BaseModel):
    order_id: str
    customer_id: str
    amount_cents: int
    currency: str
    country: str
    items: int
    express: bool
    note: str


address, events = sys.argv[1], int(sys.argv[2])
broker = KafkaBroker(address, logger=None)
app = FastStream(broker, logger=None)
seen, wall, cpu = 0, 0.0, 0.0


@broker.subscriber("orders", group_id=f"faststream-{time.time_ns()}", auto_offset_reset="earliest")
async def handle(_order: Order) -> None:
    global seen, wall, cpu  # noqa: PLW0603
    if not seen:
        wall, cpu = time.perf_counter(), time.process_time()
    seen += 1
    if seen == events:
        print(time.perf_counter() - wall, time.process_time() - cpu, flush=True)
        app.exit()


if __name__ == "__main__":
    import asyncio

    asyncio.run(app.run())
