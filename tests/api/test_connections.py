"""Who connects and says nothing, or too slowly, is let go; who waits for an answer is not."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from api import connections
from api.connections import PromptHeads

_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)


@asynccontextmanager
async def _connected(answer_after_seconds: float) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(answer_after_seconds)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    config = Config(app, timeout_keep_alive=30, log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: PromptHeads(config, state, {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    yield reader, writer
    writer.close()
    server.close()


def _run(talk: Talk, answer_after_seconds: float = 0) -> None:
    async def run() -> None:
        async with asyncio.timeout(20), _connected(answer_after_seconds) as (reader, writer):
            await talk(reader, writer)

    asyncio.run(run())


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: lo"])
def test_a_head_that_does_not_come_is_not_waited_for(said: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        assert await reader.read() == b""

    _run(talk)


def test_a_second_head_that_stays_away_is_not_waited_for_either() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_REQUEST)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
        writer.write(b"GET /again HTTP/1.1\r\n")
        assert await reader.read() == b""

    _run(talk)


def test_an_answer_that_takes_longer_than_a_head_may_still_arrives() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_REQUEST + b"GET /next HTTP/1.1\r\n")  # with the next one begun behind it
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")

    _run(talk, answer_after_seconds=0.8)
