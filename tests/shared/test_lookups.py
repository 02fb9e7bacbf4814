"""Names that hang: whom they hold up, and for how long."""

import asyncio
import gc
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from shared.errors import NamesUnavailable, WebhookRefused
from shared.lookups import Lookups
from shared.netguard import Address, parse
from tests.worker.attempts import Resolver

LOOPBACK = [ip_network("127.0.0.0/8")]
HERE = [ip_address("127.0.0.1")]


class Hanging(Resolver):
    """Every name under slow.test hangs until its own event is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        self.names["hooks.test"] = ["127.0.0.1"]
        self.ends: dict[str, threading.Event] = {}

    def hanging(self, number: int, start: int = 0) -> list[str]:
        names = [f"{one}.slow.test" for one in range(start, start + number)]
        for name in names:
            end = self.ends[name] = threading.Event()
            self.names[name] = lambda end=end: ["127.0.0.1"] if end.wait(60) else []  # type: ignore[misc]
        return names

    def end(self) -> None:
        for event in self.ends.values():
            event.set()


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    resolver = Hanging(monkeypatch)
    yield resolver
    resolver.end()


def ask(lookups: Lookups, name: str, caller: str) -> Coroutine[Any, Any, list[Address]]:
    return lookups.addresses(parse(f"http://{name}/", LOOPBACK), caller)


async def refusals(lookups: Lookups, names: list[str], caller: str) -> list[str]:
    """What is told of each of these names, all asked for at once."""
    outcomes = await asyncio.gather(*[ask(lookups, name, caller) for name in names], return_exceptions=True)
    assert all(isinstance(one, NamesUnavailable) for one in outcomes)
    return [str(one) for one in outcomes]


def test_names_of_one_caller_that_hang_hold_up_nobody_else(resolver: Hanging) -> None:
    names = resolver.hanging(40)

    async def beside() -> list[str]:
        lookups = Lookups(LOOPBACK, 0.5)
        told = await refusals(lookups, names, "a")
        assert await ask(lookups, "hooks.test", "b") == HERE
        assert await refusals(lookups, ["hooks.test"], "a"), "those who have gone take none of what hangs along"
        return told

    told = asyncio.run(beside())
    assert told[:8] == [f"{name} could not be looked up within 0.5 s; try again later." for name in names[:8]]
    assert told[8:] == [
        f"{name} was not looked up: look-ups of other names hang; try again later." for name in names[8:]
    ]
    assert resolver.asked == [*names[:8], "hooks.test"]


def test_a_caller_whose_names_hang_reaches_addresses_and_names_that_others_ask_for(resolver: Hanging) -> None:
    names = resolver.hanging(9)

    async def beside() -> None:
        lookups = Lookups(LOOPBACK, 0.5)
        await refusals(lookups, names[:8], "a")
        assert await ask(lookups, "127.0.0.1", "a") == HERE
        with pytest.raises(WebhookRefused):
            await ask(lookups, "10.0.0.1", "a")
        others = asyncio.create_task(ask(lookups, names[8], "b"))
        await asyncio.sleep(0)
        joined = asyncio.create_task(ask(lookups, names[8], "a"))
        await asyncio.sleep(0)
        resolver.ends[names[8]].set()
        assert await joined == await others == HERE

    asyncio.run(beside())
    assert resolver.asked == names


def test_with_all_of_a_callers_threads_taken_the_next_name_waits_for_one(resolver: Hanging) -> None:
    names = resolver.hanging(8)

    async def after() -> None:
        lookups = Lookups(LOOPBACK, 30)
        hanging = [asyncio.create_task(ask(lookups, name, "a")) for name in names]
        many = [asyncio.create_task(ask(lookups, "hooks.test", "a")) for _ in range(50)]
        await asyncio.sleep(0)
        resolver.ends[names[3]].set()
        assert await asyncio.gather(hanging[3], *many) == [HERE] * 51
        resolver.end()
        assert await asyncio.gather(*hanging) == [HERE] * 8

    asyncio.run(after())
    assert sorted(resolver.asked[:8]) == sorted(names)  # threads begin in any order
    assert resolver.asked[8] == "hooks.test"


def test_threads_that_have_ended_are_free_again(resolver: Hanging) -> None:
    first, second = resolver.hanging(8), resolver.hanging(8, start=8)

    async def twice() -> None:
        lookups = Lookups(LOOPBACK, 0.5)
        await refusals(lookups, first, "a")
        resolver.end()
        assert await asyncio.gather(*[ask(lookups, name, "a") for name in (*second, "hooks.test")]) == [HERE] * 9

    asyncio.run(twice())


def test_all_callers_together_have_so_many_threads(resolver: Hanging) -> None:
    names = resolver.hanging(72)

    async def all_of_them() -> None:
        lookups = Lookups(LOOPBACK, 0.5)
        eights = [refusals(lookups, names[at : at + 8], f"caller {at}") for at in range(0, 72, 8)]
        told = await asyncio.gather(*eights)
        assert all("was not looked up" in one for one in told[-1])
        resolver.end()
        assert await ask(lookups, "hooks.test", "another") == HERE

    asyncio.run(all_of_them())
    assert resolver.asked == [*names[:64], "hooks.test"]


def test_one_name_takes_one_thread_and_no_record_of_its_failure_is_left(
    resolver: Hanging, caplog: pytest.LogCaptureFixture
) -> None:
    (name,) = resolver.hanging(1)
    resolver.names[name] = lambda: [str(resolver.ends[name].wait(60))]  # no address, so it ends with a refusal

    async def crowd() -> None:
        lookups = Lookups(LOOPBACK, 0.5)
        assert len(await refusals(lookups, [name] * 100, "a")) == 100
        resolver.end()
        for thread in threading.enumerate():
            if thread.name == "lookup":
                await asyncio.to_thread(thread.join)
        assert await ask(lookups, "hooks.test", "a") == HERE

    asyncio.run(crowd())
    gc.collect()
    assert resolver.asked == [name, "hooks.test"]
    assert not caplog.records


_HUNG = """
import asyncio, socket, threading
from ipaddress import ip_network
from shared.errors import NamesUnavailable
from shared.lookups import Lookups
from shared.netguard import parse

socket.getaddrinfo = lambda *_, **__: threading.Event().wait()
networks = [ip_network("127.0.0.0/8")]

async def ask():
    try:
        await Lookups(networks, 0.1).addresses(parse("http://slow.test/", networks), "a")
    except NamesUnavailable:
        print("refused", threading.active_count())

asyncio.run(ask())
"""


def test_a_process_ends_beside_a_lookup_that_never_does() -> None:
    ended = subprocess.run([sys.executable, "-c", _HUNG], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "refused 2\n", "")
