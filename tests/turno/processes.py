"""Processes seen from outside, and the loop that runs them."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import psutil

from tests.waiting import wait_for

T = TypeVar("T")


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns, from a loop in a thread of its own: Playwright keeps one in the main thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that merely waits to be reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pid_in(path: Path) -> int:
    """The process number that a stand-in wrote into `path`, once it did."""
    wait_for(lambda: path.exists() and path.read_text().endswith("\n"), f"a process number in {path.name}")
    return int(path.read_text())
