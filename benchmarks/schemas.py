"""Microseconds for a typed event with its envelope: to bytes and headers, and back; in the three formats.

Beside the CloudEvents SDK, and Confluent's serializers, which write no envelope. CPU time, because the wall clock of a
shared machine is another's as well.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from benchmarks.harness import Measurement, Report, Stopwatch, cpu_ratio, median_cpu_us
from benchmarks.peers import Peers, measured
from mainstem.clock import SystemClock
from mainstem.events import Envelope, FieldNumber, IntegrationEvent, Origin, common_headers, declaration_of, own_headers
from mainstem.identifiers import Identifiers
from mainstem.schemas import codec_for
from mainstem.schemas.avro import codec_of as avro_codec
from mainstem.schemas.framing import id_prefix, unframed
from mainstem.schemas.protobuf import codec_of as protobuf_codec

PACKAGES = (
    "attrs",
    "authlib",
    "cachetools",
    "certifi",
    "cloudevents==2.2.0",
    "confluent-kafka==2.16.1",
    "fastavro==1.13.1",
    "googleapis-common-protos",
    "httpx2",
    "jsonschema",
    "orjson",
    "protobuf",
    "referencing",
)
Step = Callable[[], object]


class Payment(IntegrationEvent, topic="payments", key="customer_id"):
    """The event: 180 bytes of JSON."""

    order_id: Annotated[str, FieldNumber(1)]
    customer_id: Annotated[str, FieldNumber(2)]
    amount_cents: Annotated[int, FieldNumber(3)]
    currency: Annotated[str, FieldNumber(4)]
    note: Annotated[str, FieldNumber(5)]


EVENT = Payment("o-1234567", "c-4711", 4_200, "EUR", "n" * 100)
DECLARATION = declaration_of(Payment)
COMMON = common_headers(DECLARATION, "/shop")
IDENTIFIERS = Identifiers(SystemClock())
ORIGIN = Origin("payments", 0, 1, 0)
PREFIX = id_prefix(7)
INDEXED = id_prefix(7, (0,))

# Ours, and the peers that do the same.
AGAINST = {
    "json_write": ("cloudevents_write", "json_confluent_write"),
    "json_read": ("cloudevents_read", "json_confluent_read"),
    "avro_write": ("avro_confluent_write",),
    "avro_read": ("avro_confluent_read",),
    "protobuf_write": ("protobuf_confluent_write",),
    "protobuf_read": ("protobuf_confluent_read",),
}


def writing(encode: Callable[[object], bytes], prefix: bytes = b"") -> Step:
    """An id, the headers and the payload."""
    new = IDENTIFIERS.new

    def step() -> object:
        return {**COMMON, **own_headers(new().encode(), {})}, prefix + encode(EVENT)

    return step


def reading(decode: Callable[[bytes], object], raw: bytes, *, framed: bool = True, indexed: bool = False) -> Step:
    """The event, with the id, type and source of its envelope."""
    own = own_headers(IDENTIFIERS.new().encode(), {})

    def step() -> object:
        envelope = Envelope(COMMON, own, ORIGIN)
        payload = unframed(raw, own, indexed=indexed).payload if framed else raw
        return envelope.id, envelope.type, envelope.source, decode(payload)

    return step


def steps() -> dict[str, Step]:
    """What is measured of ours."""
    json, avro, protobuf = codec_for(DECLARATION), avro_codec(DECLARATION), protobuf_codec(DECLARATION)
    return {
        "json_write": writing(json.encode),
        "json_read": reading(json.decode, json.encode(EVENT), framed=False),
        "avro_write": writing(avro.encode, PREFIX),
        "avro_read": reading(avro.decode, PREFIX + avro.encode(EVENT)),
        "protobuf_write": writing(protobuf.encode, INDEXED),
        "protobuf_read": reading(protobuf.decode, INDEXED + protobuf.encode(EVENT), indexed=True),
    }


def ours(step: Step, count: int) -> Measurement:
    """One run of a loop of ours."""
    with Stopwatch() as watch:
        for _ in range(count):
            step()
    return watch.measured(count)


def tell(turns: dict[str, list[Measurement]], report: Report) -> None:
    """Each figure of ours with its ratios, and behind it those of its peers."""
    for name, peers in AGAINST.items():
        there = [peer for peer in peers if peer in turns]
        report.add(
            name, median_cpu_us(turns[name]), "us", **{peer: cpu_ratio(turns[name], turns[peer]) for peer in there}
        )
        for peer in there:
            report.add(peer, median_cpu_us(turns[peer]), "us")
    for form in ("json", "avro", "protobuf"):
        report.add(f"{form}_both", median_cpu_us(turns[f"{form}_write"]) + median_cpu_us(turns[f"{form}_read"]), "us")


def main() -> None:
    """Run all, in turns."""
    cases = {name: partial(ours, step) for name, step in steps().items()}
    turns = measured(
        "a typed event with its envelope", 20_000, cases, AGAINST, partial(Peers, "schemas", "codecs.py", PACKAGES)
    )
    report = Report("an event with its envelope, in us of CPU time; a ratio of 2 is half the time of")
    tell(turns, report)
    report.show()


if __name__ == "__main__":
    main()
