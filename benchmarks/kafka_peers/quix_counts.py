"""Quix Streams on the orders: ``address topology events folder``; prints wall and CPU seconds.

Stateless, each order to another topic, or a count by key with its changelog; exactly once but for the first.
"""

import sys
import time

from quixstreams import Application, State


class Clock:
    """From the first event to the last."""

    def __init__(self, app: Application, events: int) -> None:
        self.app, self.events, self.seen = app, events, 0

    def tick(self) -> None:
        if not self.seen:
            self.wall, self.cpu = time.perf_counter(), time.process_time()
        self.seen += 1
        if self.seen == self.events:
            print(time.perf_counter() - self.wall, time.process_time() - self.cpu, flush=True)
            self.app.stop()


def main() -> None:
    address, topology, events, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    app = Application(
        broker_address=address,
        consumer_group=f"quix-{topology}-{time.time_ns()}",
        auto_offset_reset="earliest",
        processing_guarantee="at-least-once" if topology == "stateless" else "exactly-once",
        commit_interval=0.1,
        commit_every=10_000,
        state_dir=folder,
        loglevel="WARNING",
        consumer_extra_config={"fetch.queue.backoff.ms": 2, "fetch.wait.max.ms": 50},
        producer_extra_config={"compression.type": "lz4", "retry.backoff.ms": 1, "retry.backoff.max.ms": 5},
    )
    clock = Clock(app, events)
    orders = app.dataframe(app.topic("orders", key_deserializer="str", value_deserializer="json"))

    def check(order: dict) -> dict:
        clock.tick()
        return {**order, "amount_cents": order["amount_cents"] + 1}

    def count(_order: dict, state: State) -> None:
        clock.tick()
        state.set("count", state.get("count", 0) + 1)

    if topology == "stateless":
        orders.update(lambda _order: clock.tick())
    elif topology == "transform":
        orders.apply(check).to_topic(app.topic("checked", key_serializer="str", value_serializer="json"))
    else:
        orders.update(count, stateful=True)
    app.run()


if __name__ == "__main__":
    main()
