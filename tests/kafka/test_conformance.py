"""Apache Kafka passes the public suite."""

import pytest

from mainstem.broker.kafka import KafkaOptions
from mainstem.testing.conformance.broker import RULES, Rule, check
from tests.kafka.harness import OnKafka


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_kafka(rule: Rule, kafka: str) -> None:
    """A real cluster keeps the rule."""
    check(rule, OnKafka(kafka, KafkaOptions()))


@pytest.mark.parametrize("rule", [rule for rule in RULES if str(rule).startswith("membership")], ids=str)
def test_the_newer_group_protocol(rule: Rule, kafka: str) -> None:
    """It keeps the rules of membership with the group protocol in which the broker assigns as well."""
    check(rule, OnKafka(kafka, KafkaOptions(group_protocol="consumer")))
