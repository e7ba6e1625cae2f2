"""The broker that the tests talk to is a real one."""

from collections.abc import Callable

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic


def read_to_the_end(kafka: str, topic: str, isolation: str) -> list[bytes | None]:
    """The values of the first partition, as a reader of this isolation sees them now."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "nobody",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": isolation,
        }
    )
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    values: list[bytes | None] = []
    try:
        while (message := consumer.poll(20)) is not None and message.error() is None:
            values.append(message.value())
        assert message is not None, "the broker has not answered"
    finally:
        consumer.close()
    return values


def created(admin: AdminClient, topic: str) -> str:
    """A new topic of one partition."""
    admin.create_topics([NewTopic(topic, 1)])[topic].result()
    return topic


def test_a_committed_transaction_is_read_and_an_aborted_one_is_not(
    kafka: str, kafka_admin: AdminClient, unique: Callable[[str], str]
) -> None:
    """Who reads what is committed sees all records of a commit, and none that were aborted or are still open."""
    topic = created(kafka_admin, unique("facts"))
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": unique("writer"), "retry.backoff.ms": 1})
    producer.init_transactions(20)
    for value in (b"committed", b"aborted", b"open"):
        producer.begin_transaction()
        producer.produce(topic, value, partition=0)
        producer.flush(20)
        if value == b"committed":
            producer.commit_transaction(20)
        elif value == b"aborted":
            producer.abort_transaction(20)
    assert read_to_the_end(kafka, topic, "read_committed") == [b"committed"]
    assert read_to_the_end(kafka, topic, "read_uncommitted") == [b"committed", b"aborted", b"open"]
    producer.abort_transaction(20)


def test_what_is_acknowledged_has_an_offset(kafka: str, kafka_admin: AdminClient, unique: Callable[[str], str]) -> None:
    """Delivery reports name the offsets under which the records are read."""
    topic = created(kafka_admin, unique("facts"))
    offsets: list[int | None] = []

    def delivered(error: object, message: Message) -> None:
        assert error is None
        offsets.append(message.offset())

    producer = Producer({"bootstrap.servers": kafka, "enable.idempotence": True})
    for number in range(3):
        producer.produce(topic, str(number), partition=0, on_delivery=delivered)
    assert producer.flush(20) == 0
    assert offsets == [0, 1, 2]
    assert read_to_the_end(kafka, topic, "read_committed") == [b"0", b"1", b"2"]
