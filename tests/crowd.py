"""Very many clients at once, each with a connection of its own, on one event loop."""

import asyncio
import json
import resource
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.sse import Event, parsed

_AT_ONCE = 10  # of those that begin: more would only wait for the server's processor, each with a thread
_OPEN_SECONDS = 60


@dataclass
class Listener:
    """One open stream, or one open wait."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: list[Event] = field(default_factory=list)

    async def event(self) -> Event:
        """The next event; comments are passed over."""
        while not (event := parsed(await self._chunk())).name:
            pass
        self.heard.append(event)
        return event

    async def rest(self) -> list[Event]:
        """Everything up to the end of the stream."""
        while chunk := await self._chunk():
            self.heard.append(parsed(chunk))
        return self.heard

    async def answer(self) -> tuple[int, dict[str, Any]]:
        """The status and the document of an answer that is not a stream."""
        head, _, body = (await self.reader.read()).partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)

    async def _chunk(self) -> str:
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        return (await self.reader.readexactly(size + 2))[:-2].decode().removesuffix("\n\n")


def allow_open_files(number: int) -> None:
    """Raises this process's limit, which its children inherit, as far as it may be raised."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < number:
        enough = number if hard == resource.RLIM_INFINITY else min(number, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))


async def listen(port: int, job_id: str) -> Listener:
    """An open stream that has told where the job stands."""
    listener = await _ask(port, f"/v1/jobs/{job_id}/events")
    head = await listener.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    await listener.event()
    return listener


async def wait(port: int, job_id: str) -> Listener:
    """An open wait of a minute."""
    return await _ask(port, f"/v1/jobs/{job_id}", "Prefer: wait=60\r\n")


async def crowd(number: int, open_one: Callable[[int], Awaitable[Listener]]) -> list[Listener]:
    """So many, each opened with its number."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def opened(index: int) -> Listener:
        async with room:
            return await open_one(index)

    async with asyncio.timeout(_OPEN_SECONDS):
        return list(await asyncio.gather(*map(opened, range(number))))


async def leave(listeners: list[Listener]) -> None:
    """Closes their connections."""
    for listener in listeners:
        listener.writer.close()
    await asyncio.gather(*(listener.writer.wait_closed() for listener in listeners), return_exceptions=True)


async def _ask(port: int, path: str, headers: str = "") -> Listener:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n".encode())
    await writer.drain()
    return Listener(reader, writer)
