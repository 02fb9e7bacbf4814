"""CPUs and memory as containers limit them, read from planted files of both versions of cgroups."""

import os
from pathlib import Path

import pytest

from shared.limits import usable_cpus, usable_memory_bytes
from shared.settings import Settings

_MACHINE = {"proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n"}
_V2 = {
    "proc/self/cgroup": "0::/app.slice/turno.service\n",
    "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
}
_GROUP, _PARENT = "sys/fs/cgroup/app.slice/turno.service", "sys/fs/cgroup/app.slice"
# as Docker shows it without a namespace: the names are the machine's, the folders the container's own
_V1 = {
    "proc/self/cgroup": "4:memory:/docker/ab12\n3:cpu,cpuacct:/docker/ab12\n1:name=systemd:/docker/ab12\n",
    "proc/self/mountinfo": "41 40 0:31 /docker/ab12 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
    "42 40 0:32 /docker/ab12 /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n",
}
_V1_CPU, _V1_MEMORY = "sys/fs/cgroup/cpu,cpuacct", "sys/fs/cgroup/memory"


@pytest.fixture(autouse=True)
def _sixteen_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the scheduler says on a large machine, whatever runs the tests."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))


def _plant(folder: Path, *parts: dict[str, str]) -> Path:
    for name, text in [entry for part in parts for entry in part.items()]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({**_V2, f"{_GROUP}/cpu.max": "100000 100000\n"}, 1),
        ({**_V2, f"{_GROUP}/cpu.max": "150000 100000\n"}, 1),
        ({**_V2, f"{_GROUP}/cpu.max": "400000 100000\n"}, 4),
        ({**_V2, f"{_GROUP}/cpu.max": "20000 100000\n"}, 1),
        ({**_V2, f"{_GROUP}/cpu.max": "max 100000\n"}, 16),
        ({**_V2, f"{_GROUP}/cpu.max": "max 100000\n", f"{_PARENT}/cpu.max": "200000 100000\n"}, 2),
        ({**_V2, f"{_GROUP}/cpu.max": "300000 100000\n", f"{_PARENT}/cpu.max": "800000 100000\n"}, 3),
        ({**_V2, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ({**_V2, "proc/self/cgroup": "0::/../elsewhere\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
        ({**_V1, f"{_V1_CPU}/cpu.cfs_quota_us": "200000\n", f"{_V1_CPU}/cpu.cfs_period_us": "100000\n"}, 2),
        ({**_V1, f"{_V1_CPU}/cpu.cfs_quota_us": "-1\n", f"{_V1_CPU}/cpu.cfs_period_us": "100000\n"}, 16),
        (_V1, 16),
        ({}, 16),
    ],
)
def test_threads_are_as_many_as_the_quota_and_those_above_it_allow(
    files: dict[str, str], cpus: int, tmp_path: Path
) -> None:
    assert usable_cpus(_plant(tmp_path, files)) == cpus


def test_who_is_given_fewer_cpus_than_the_quota_has_uses_these(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert usable_cpus(_plant(tmp_path, _V2, {f"{_GROUP}/cpu.max": "400000 100000\n"})) == 1


@pytest.mark.parametrize(
    ("files", "free_bytes"),
    [
        (_MACHINE, 4_096_000_000),
        ({**_MACHINE, **_V2, f"{_GROUP}/memory.max": "max\n", f"{_GROUP}/memory.current": "1000\n"}, 4_096_000_000),
        ({**_MACHINE, **_V2, f"{_GROUP}/memory.max": "2000000000\n", f"{_GROUP}/memory.current": "500000000\n"}, 1.5e9),
        ({**_V2, f"{_PARENT}/memory.max": "900\n", f"{_PARENT}/memory.current": "100\n"}, 800),
        ({**_V2, f"{_GROUP}/memory.max": "900\n", f"{_GROUP}/memory.current": "1000\n"}, 0),
        (
            {
                **_V2,
                f"{_GROUP}/memory.max": "900\n",
                f"{_GROUP}/memory.current": "500\n",
                f"{_GROUP}/memory.stat": "anon 200\ninactive_file 300\n",
            },
            700,
        ),
        (
            {
                **_V1,
                f"{_V1_MEMORY}/memory.limit_in_bytes": "900\n",
                f"{_V1_MEMORY}/memory.usage_in_bytes": "500\n",
                f"{_V1_MEMORY}/memory.stat": "inactive_file 1\ntotal_inactive_file 100\n",
            },
            500,
        ),
        ({}, None),
    ],
)
def test_memory_is_what_the_limit_leaves_and_pages_of_files_count_as_free(
    files: dict[str, str], free_bytes: float | None, tmp_path: Path
) -> None:
    assert usable_memory_bytes(_plant(tmp_path, files)) == free_bytes


@pytest.mark.parametrize(("children", "threads", "each"), [(1, 0, 16), (4, 0, 4), (32, 0, 1), (4, 7, 7)])
def test_children_share_the_cpus_unless_their_threads_are_given(children: int, threads: int, each: int) -> None:
    settings = Settings(_env_file=None, worker_concurrency=children, worker_threads=threads)  # type: ignore[call-arg]
    assert settings.worker_threads == each
