"""What each container takes at most, as the kernel counts it, and beside what limit."""

import contextlib
import threading
from collections import defaultdict
from dataclasses import dataclass

from tests.compose.containers import Containers, Failed, run

# control groups 1 and 2: what the processes hold, the most ever held with page cache (older kernels: now), the limit
_READ = """
cd /sys/fs/cgroup
if [ -d memory ]; then
    awk '$1 == "total_rss" {print $2}' memory/memory.stat
    cat memory/memory.max_usage_in_bytes memory/memory.limit_in_bytes
else
    awk '$1 == "anon" {print $2}' memory.stat
    cat memory.peak 2>/dev/null || cat memory.current
    cat memory.max
fi
"""


def read_memory(container: str) -> tuple[int, int, int]:
    """Bytes: what its processes hold now, the most that ever was held with page cache, the limit."""
    processes, with_cache, limit = run("docker", "exec", container, "sh", "-c", _READ).split()
    return int(processes), int(with_cache), int(limit)


@dataclass
class Peak:
    """Bytes."""

    processes: int = 0  # sampled: page cache, which the kernel takes back when it needs to, is not in it
    with_cache: int = 0


class MemoryWatch:
    """Samples every container of one stack, about once a second."""

    def __init__(self, stack: Containers) -> None:
        self.peaks: dict[str, Peak] = defaultdict(Peak)
        self._stack = stack
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the sampling."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(1):
            with contextlib.suppress(Failed):
                for container in self._stack.ids():
                    with contextlib.suppress(Failed):  # it went away meanwhile, or is paused
                        self._sample(container)

    def _sample(self, container: str) -> None:
        service = run(
            "docker", "inspect", "--format", '{{index .Config.Labels "com.docker.compose.service"}}', container
        )
        processes, with_cache, limit = read_memory(container)
        peak = self.peaks[f"{service}, {limit / (1 << 20):.0f} MiB"]
        peak.processes = max(peak.processes, processes)
        peak.with_cache = max(peak.with_cache, with_cache)
