"""The crew of the crash tests, on a cluster."""

from pathlib import Path
from typing import Self

from tests.crash.checker import Report, judge, left_in
from tests.crash.crew import Crew
from tests.crash.journal import read_journal
from tests.kafka.failures.cluster_log import ClusterLog
from tools.kafka import Cluster


class KafkaCrew(Crew):
    """Processes that run services on a cluster, share a folder of local copies, and are killed."""

    module = "tests.kafka.failures.workload"

    def __init__(self, folder: Path, cluster: Cluster, *arguments: str, options: str = "") -> None:
        """``options`` go into the URL of the broker."""
        self.copies = folder / "copies"
        self.cluster = cluster
        url = f"kafka://{cluster.address}?state_folder={self.copies}{options}"
        super().__init__(folder, "--broker", url, *arguments)

    def __enter__(self) -> Self:
        self.log = ClusterLog(self.cluster.address)
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[arg-type]
        self.log.__exit__()

    def unsettled(self) -> list[str]:
        """What the services still have to do."""
        return left_in(self.log)

    def check(self) -> Report:
        """Decide whether every promise was kept; the local copies are looked at as well."""
        report = Report()
        judge(self.log, [read_journal(path) for path in sorted(self.folder.glob("*.journal"))], report)
        for text in self.log.copies_that_lie(self.copies):
            report.differ("a local copy is what the changelog says", text)
        return report
