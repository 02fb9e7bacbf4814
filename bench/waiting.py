"""What a thousand open waits or streams cost one API process, and those who submit meanwhile.

`python bench/waiting.py`: about a minute. Each situation has an API, a Redis and a database of its own; rounds take
turns, so that whatever else the machine does meets all of them alike.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from shared.changes import announce
from tests.crowd import Listener, allow_open_files, crowd, leave, listen, wait
from tests.photos import jpeg
from tests.shared.make import add, claim, succeed
from tests.stack import ROOT, Stack

WATCHERS = 1000
WATCHED = 100  # jobs
ROUNDS = 2
SUBMISSIONS = 250  # in each round, one after the other
IMAGE = jpeg()


@dataclass
class Situation:
    """One API process, what it is burdened with, and what was measured."""

    name: str
    open_one: Callable[[int, str], Awaitable[Listener]] | None
    stack: Stack
    seconds: list[float] = field(default_factory=list)
    mib: float = 0
    threads: int = 0

    async def round(self, number: int) -> None:
        """Submits image after image while the others wait, then ends what they wait for."""
        if self.open_one is None:
            await self.submit()
            return
        database, now = self.stack.database(), datetime.now(UTC)
        ids = [f"{number:016x}{index:016x}" for index in range(WATCHED)]
        add(database, *ids, caller="local", received_at=now, queued_at=now)
        listeners = await opened(self.open_one, self.stack.settings.port, ids)
        await self.submit()
        succeed(database, *claim(database, *ids))
        announce(self.stack.redis.client(), ids)
        ends = await asyncio.gather(*(listener.reader.read() for listener in listeners))
        assert all(b'"succeeded"' in end for end in ends)
        await leave(listeners)
        database.close()

    async def submit(self) -> None:
        """Measures one submission after the other, and what the process is by then."""
        async with httpx.AsyncClient(base_url=self.stack.url, timeout=60) as client:
            for _ in range(SUBMISSIONS):
                began = time.perf_counter()
                answer = await client.post("/v1/jobs", content=IMAGE, headers={"Content-Type": "image/jpeg"})
                self.seconds.append(time.perf_counter() - began)
                assert answer.status_code == 202, answer.text
        api = psutil.Process(self.stack._processes["api"].pid)
        self.mib, self.threads = api.memory_info().rss / 2**20, api.num_threads()

    def __str__(self) -> str:
        median, p95 = statistics.median(self.seconds), statistics.quantiles(self.seconds, n=20)[-1]
        return f"{self.name:20} {median * 1000:8.1f} ms {p95 * 1000:8.1f} ms {self.mib:8.0f} MiB {self.threads:8}"


async def opened(open_one: Callable[[int, str], Awaitable[Listener]], port: int, ids: list[str]) -> list[Listener]:
    """A thousand, spread over these jobs."""
    return await crowd(WATCHERS, lambda index: open_one(port, ids[index % len(ids)]))


def started(folder: Path) -> Stack:
    """Redis and an API; nobody works, so that nobody else needs the processor."""
    for part in ("state", "redis"):
        (folder / part).mkdir(parents=True)
    model = ROOT / "models" / "leaf-health"
    stack = Stack(folder / "state", folder / "redis", MODEL_PATH=str(model), LOG_LEVEL="WARNING")
    return stack.start("redis", "api")


async def main() -> None:
    """Prints one table."""
    allow_open_files(4 * WATCHERS)
    kinds = {"nobody waits": None, f"{WATCHERS:,} waits": wait, f"{WATCHERS:,} streams": listen}
    with tempfile.TemporaryDirectory(prefix="turno-") as folder, ExitStack() as stacks:
        situations = []
        for number, (name, open_one) in enumerate(kinds.items()):
            stack = started(Path(folder, str(number)))
            stacks.callback(stack.close)
            situations.append(Situation(name, open_one, stack))
        for situation in situations:
            await situation.submit()  # unmeasured: everything is warm then
            situation.seconds.clear()
        for number in range(ROUNDS):
            for situation in situations:
                await situation.round(number)
    print(f"{'one submission while':20} {'median':>11} {'p95':>11} {'API memory':>12} {'threads':>8}")
    for situation in situations:
        print(situation)
    print("Threads: at most 40 look jobs up while a crowd arrives, and end when idle; none of them waits.")


if __name__ == "__main__":
    asyncio.run(main())
