"""One process of the crash tests on Kafka: ``python -m tests.kafka.failures.workload worker --broker kafka://...``."""

from mainstem.errors import BrokerError
from mainstem.service import Backend, connect
from tests.crash.workload import Process, main
from tests.kafka.failures import probes


class KafkaProcess(Process):
    """The same roles, on a cluster. Its fault points come from probes, because the library has none there."""

    doubts = (BrokerError,)

    def connected(self) -> Backend:
        """The broker behind the URL."""
        return connect(self.arguments.broker, self.floor.clock, self.floor.identifiers)


if __name__ == "__main__":
    main(KafkaProcess, probes.install)
