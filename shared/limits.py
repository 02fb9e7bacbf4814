"""What this process may use of its machine: CPUs and memory, as scheduler, containers and services limit them.

Read from the cgroups of both versions. A container may see its whole machine in /proc; what it may use stands there.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_MACHINE = Path("/")


def usable_cpus(root: Path = _MACHINE) -> int:
    """How many threads may compute at once: the CPUs given to this process, or its quota, whichever is less.

    A quota of 1.5 is 1: of two threads that share it, one is stopped in the middle of every piece of work and the
    other waits for it. The half is not lost, it decodes, writes and answers.

    Args:
        root: where /proc and the cgroups are found; another folder in tests.
    """
    return max(1, int(min([_scheduled_cpus(), *_quotas(root)])))


def usable_memory_bytes(root: Path = _MACHINE) -> int | None:
    """What may still be taken before something is killed for it; None where that cannot be known.

    File pages that nobody has used lately count as free: the kernel drops them first.
    """
    found = [*_free_in_cgroups(root), *_free_in_machine(root)]
    return max(0, min(found)) if found else None


def _scheduled_cpus() -> int:
    if sys.platform != "linux":
        return os.cpu_count() or 1  # there is neither affinity nor quota
    return len(os.sched_getaffinity(0))


def _quotas(root: Path) -> Iterator[float]:
    for group in _cgroups(root, ""):
        quota, _, period = _read(group / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit():
            yield int(quota) / int(period)
    for group in _cgroups(root, "cpu"):
        quota_us, period_us = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
        if quota_us and period_us:  # -1, which is no number here, sets no limit
            yield quota_us / period_us


def _free_in_cgroups(root: Path) -> Iterator[int]:
    files = {
        "": ("memory.max", "memory.current", "inactive_file"),
        "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    }
    for controller, (limit_file, usage_file, idle_entry) in files.items():
        for group in _cgroups(root, controller):
            limit, used = _number(group / limit_file), _number(group / usage_file)
            if limit is not None and used is not None:
                yield limit - used + _entries(group / "memory.stat").get(idle_entry, 0)


def _free_in_machine(root: Path) -> Iterator[int]:
    kib = _entries(root / "proc/meminfo").get("MemAvailable:")
    if kib is not None:
        yield kib * 1024


def _cgroups(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process' cgroup and of all above it that can be seen; controller "" is version 2."""
    path = _own_path(root, controller)
    for mount_root, mount in _mounts(root, controller):
        inside = PurePosixPath(path)
        # a container without a namespace of its own names its cgroup from the machine's root, but sees only itself
        inside = inside.relative_to(mount_root) if inside.is_relative_to(mount_root) else PurePosixPath()
        top = root / mount.lstrip("/")
        own = top.joinpath(*(part for part in inside.parts if part not in ("/", "..")))
        while own != top and not own.is_dir():
            own = own.parent
        yield own
        yield from (group for group in own.parents if group.is_relative_to(top))


def _own_path(root: Path, controller: str) -> str:
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path
    return "/"


def _mounts(root: Path, controller: str) -> Iterator[tuple[str, str]]:
    """Which part of the hierarchy is mounted, and where: proc(5), mountinfo."""
    for line in _read(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if controller in options.split(",") if kind == "cgroup" else (kind, controller) == ("cgroup2", ""):
            mount_root, mount = before.split(" ")[3:5]
            yield mount_root, mount


def _entries(path: Path) -> dict[str, int]:
    """The first number after each name."""
    lines = [line.split() for line in _read(path).splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) > 1 and line[1].isdigit()}


def _number(path: Path) -> int | None:
    text = _read(path)
    return int(text) if text.isdigit() else None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):  # another system, or a container that shows nothing
        return ""
