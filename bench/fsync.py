"""What durability costs here: a promise that the service makes and a raw loop does not."""

import os
import sqlite3
import statistics
import time
from collections.abc import Callable
from pathlib import Path

_PROBES = 40


def small_file_seconds(folder: Path) -> float:
    """The fsync of a small new file."""
    return _dearer(lambda number: _store(folder, b"x" * 16_384, number, 1), _plain(folder, b"x" * 16_384))


def path_seconds(folder: Path, image: bytes) -> float:
    """All fsyncs between a submission and its result: the image, its folder, and two commits of SQLite."""
    stored = _dearer(lambda number: _store(folder, image, number, 2), _plain(folder, image))
    return stored + 2 * _commit_seconds(folder)


def _plain(folder: Path, data: bytes) -> Callable[[int], None]:
    return lambda number: _store(folder, data, number, 0)


def _dearer(durable: Callable[[int], None], lazy: Callable[[int], None]) -> float:
    """By how much the one is slower than the other, taking turns."""
    differences = [_seconds(durable, number) - _seconds(lazy, number) for number in range(_PROBES)]
    return max(statistics.median(differences), 0.0)


def _seconds(work: Callable[[int], None], number: int) -> float:
    began = time.perf_counter()
    work(number)
    return time.perf_counter() - began


def _store(folder: Path, data: bytes, number: int, syncs: int) -> None:
    begun, kept = folder / f"probe-{number}.part", folder / f"probe-{number}"
    with begun.open("wb") as file:
        file.write(data)
        file.flush()
        if syncs > 0:
            os.fsync(file.fileno())
    begun.rename(kept)
    if syncs > 1:
        handle = os.open(folder, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    kept.unlink()


def _commit_seconds(folder: Path) -> float:
    path = folder / "probe.sqlite"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE probe (number INTEGER, text TEXT)")

    def commit(level: str) -> Callable[[int], None]:
        def work(number: int) -> None:
            connection.execute(f"PRAGMA synchronous={level}")
            connection.execute("INSERT INTO probe VALUES (?, ?)", (number, "x" * 1500))

        return work

    try:
        return _dearer(commit("FULL"), commit("NORMAL"))
    finally:
        connection.close()
        for end in ("", "-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
