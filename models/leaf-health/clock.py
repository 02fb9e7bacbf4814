"""The time a run may use: processor minutes, and minutes on the wall, over all its continuations."""

import time
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Counts what this process and the earlier ones of the same run used."""

    cpu_minutes: float
    wall_minutes: float
    cpu_before: float = 0.0
    wall_before: float = 0.0
    _cpu: float = field(default_factory=time.process_time)
    _wall: float = field(default_factory=time.monotonic)

    def used(self) -> tuple[float, float]:
        """Give the processor and wall seconds of all threads and continuations so far."""
        return self.cpu_before + time.process_time() - self._cpu, self.wall_before + time.monotonic() - self._wall

    def share(self) -> float:
        """Give the share of the scarcer of the two budgets that is used, 0 to 1."""
        cpu, wall = self.used()
        return min(1.0, max(cpu / (60 * self.cpu_minutes), wall / (60 * self.wall_minutes)))
