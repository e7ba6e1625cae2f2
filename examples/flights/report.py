"""What a run has come to."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from examples.flights.reading import letters, percentile
from examples.flights.story import Kill
from examples.flights.surroundings import DATA
from examples.flights.verify import Check
from examples.flights.watch import Sight


@dataclass(frozen=True, kw_only=True)
class Report:
    """A run. ``groups`` are the totals of every station, read back from the stores of ``delays``."""

    groups: dict[str, dict[str, int]]
    checks: Sequence[Check]
    sights: dict[str, Sight]
    kills: Sequence[Kill]
    published: int
    redriven: int
    seconds: float

    @property
    def held(self) -> bool:
        """Whether all checks held."""
        return all(each.held for each in self.checks)

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        sights = self.sights
        content = {
            "held": self.held,
            "data": str(DATA),
            "seconds": round(self.seconds, 1),
            "published": self.published,
            "handled": sum(sight.handled for sight in sights.values()),
            "retried": sum(sight.retries for sight in sights.values()),
            "dead_lettered": sum(sight.dead_letters for sight in sights.values()),
            "redriven": self.redriven,
            "kills": [asdict(each) for each in self.kills],
            "from_replay_to_delivery_ms": in_short(letters().took_ms),
            "services": {name: self._service(sight) for name, sight in sights.items()},
            "checks": [asdict(each) for each in self.checks],
            "groups": self.groups,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def _service(self, sight: Sight) -> dict[str, object]:
        return {
            "handled": sight.handled,
            "handled_per_second": round(sight.handled / self.seconds),
            "from_published_to_committed_ms": in_short(sight.latencies),
            "retried": sight.retries,
            "dead_lettered": sight.dead_letters,
        }


def in_short(latencies: Counter[int]) -> dict[str, int]:
    """The median and the slowest hundredth, in milliseconds."""
    return {"p50": percentile(latencies, 0.5), "p99": percentile(latencies, 0.99)}
