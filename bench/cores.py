"""Which core a process runs on: what is measured has one to itself, everything else shares the other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
MEASURED = CORES[:1]
OTHERS = CORES[1:2] or CORES  # on a machine with one core everything shares it, and the table says so


@contextmanager
def on(cores: list[int]) -> Iterator[None]:
    """Processes that are begun within run on these cores, and so do their children."""
    if not cores:  # no such thing on macOS
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def named(some: list[int]) -> str:
    """How the table calls these cores."""
    return ", ".join(map(str, some)) or "any"
