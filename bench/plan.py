"""What every measure is given: where things lie, how often to measure, and who hears how far it is."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from bench.cache import Cache
from bench.workloads import WORKLOADS, Workload


@dataclass(frozen=True, slots=True)
class Plan:
    """One run of the benches."""

    cache: Cache
    named: list[Workload]  # those that were asked for; none: each measure has its own
    rounds: int
    database: str  # "sqlite" or "postgresql"
    say: Callable[[str], None]
    rows: list[int]  # that are in the table when submissions come, in turn
    jobs: int = 0  # 0: as many as fit the time of a round

    def workloads(self, *usual: str) -> list[Workload]:
        """What to work on, if nobody said otherwise the usual."""
        return self.named or [WORKLOADS[name] for name in usual]

    def each_round(self, what: str, most: int = sys.maxsize) -> Iterator[Callable[[str], None]]:
        """For each round, who is told what is done in it."""
        rounds = min(self.rounds, most)
        for number in range(1, rounds + 1):
            yield partial(self._tell, f"{what}, round {number} of {rounds}")

    def _tell(self, where: str, step: str) -> None:
        self.say(f"{where}: {step}")
