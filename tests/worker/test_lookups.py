"""Names that cannot be looked up, and resolvers that hang."""

import asyncio
import socket
import threading

import pytest

from tests.receiver import Receiver
from tests.worker.attempts import BODY, HEADERS, Resolver, failure, sender


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    return Resolver(monkeypatch)


def test_names_that_cannot_be_looked_up_are_told_apart(resolver: Resolver) -> None:
    def fails() -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    resolver.names["flaky.test"] = fails
    assert "flaky.test cannot be looked up at the moment" in failure("http://flaky.test/?secret")
    assert "unknown.test does not lead " in failure("http://unknown.test/?secret")


def test_lookups_that_hang_end_in_time_and_hold_up_nobody(resolver: Resolver) -> None:
    end = threading.Event()

    async def beside(healthy: str) -> None:
        one = sender(most_seconds=1)
        hanging = [asyncio.create_task(one.send("http://slow.test/", HEADERS, BODY)) for _ in range(100)]
        await asyncio.sleep(0)
        assert (await one.send(healthy, HEADERS, BODY)).succeeded
        assert {made.error for made in await asyncio.gather(*hanging)} == {"no answer within 1 s"}
        await one.close()

    resolver.names |= {"slow.test": lambda: [str(end.wait(60))], "hooks.test": ["127.0.0.1"]}
    try:
        with Receiver() as receiver:
            asyncio.run(beside(f"http://hooks.test:{receiver.port}/"))
    finally:
        end.set()
    assert resolver.asked == ["slow.test", "hooks.test"]


def test_lookups_for_which_nobody_waits_any_more_are_not_made(
    resolver: Resolver, caplog: pytest.LogCaptureFixture
) -> None:
    end = threading.Event()
    names = [f"slow-{number}.test" for number in range(50)]

    async def after(healthy: str) -> None:
        one = sender(most_seconds=0.5)
        await asyncio.gather(*[one.send(f"http://{name}/", HEADERS, BODY) for name in names])
        end.set()
        assert (await one.send(healthy, HEADERS, BODY)).succeeded
        await one.close()

    resolver.names |= {name: lambda: [str(end.wait(60))] for name in names}
    resolver.names["hooks.test"] = ["127.0.0.1"]
    try:
        with Receiver() as receiver:
            asyncio.run(after(f"http://hooks.test:{receiver.port}/"))
    finally:
        end.set()
    assert resolver.asked == [*names[:32], "hooks.test"]
    assert not caplog.records
