"""Producers with a transactional id: they fence one another, and commit what belongs together."""

from mainstem.broker.kafka.producers.fencing import fencing, transactional_id
from mainstem.broker.kafka.producers.producer import Shipment, TransactionalProducer
from mainstem.broker.kafka.producers.sharing import Records, Sharing
from mainstem.broker.kafka.producers.slots import Slots

__all__ = ["Records", "Sharing", "Shipment", "Slots", "TransactionalProducer", "fencing", "transactional_id"]
