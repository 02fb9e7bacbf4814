"""Load that costs little: requests whose bytes were made beforehand, over kept connections, on one event loop."""

import asyncio
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import uvloop

_BOUNDARY = "turno-bench"
_SECONDS = 600


@dataclass(slots=True)
class Answers:
    """What came back."""

    seconds: float = 0.0
    latencies_seconds: list[float] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        """Answers in a second."""
        return len(self.bodies) / self.seconds

    @property
    def median_seconds(self) -> float:
        """Half of the answers came faster."""
        return statistics.median(self.latencies_seconds)


def upload_request(image: bytes, path: str, *headers: str) -> bytes:
    """A whole request with the image as the form's file, as browsers and curl send it."""
    part = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n'
    body = part.encode() + b"Content-Type: image/jpeg\r\n\r\n" + image + f"\r\n--{_BOUNDARY}--\r\n".encode()
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers]
    lines += [f"Content-Type: multipart/form-data; boundary={_BOUNDARY}", "", ""]
    return "\r\n".join(lines).encode() + body


def send(port: int, requests: Sequence[bytes], total: int, connections: int = 16) -> Answers:
    """Sends so many requests in turn, each connection its next as soon as its last is answered.

    Raises:
        RuntimeError: a request was not answered with success.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_send(port, requests, total, connections))


async def _send(port: int, requests: Sequence[bytes], total: int, connections: int) -> Answers:
    answers = Answers()
    todo = iter(itertools.islice(itertools.cycle(requests), total))
    loop = asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(lambda: _Connection(todo, answers), "127.0.0.1", port))[1]
        for _ in range(min(connections, total))
    ]
    began = time.perf_counter()
    for connection in opened:
        connection.go_on()
    try:
        async with asyncio.timeout(_SECONDS):
            await asyncio.gather(*(connection.done for connection in opened))
        answers.seconds = time.perf_counter() - began
    finally:
        for connection in opened:
            connection.transport.close()
    return answers


class _Connection(asyncio.Protocol):
    """Sends, waits for the whole answer, sends again."""

    transport: asyncio.Transport

    def __init__(self, todo: Iterator[bytes], answers: Answers) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._todo, self._answers = todo, answers
        self._came, self._began = b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by descent

    def go_on(self) -> None:
        """Sends what is next, if there is more."""
        request = next(self._todo, None)
        if request is None:
            self.done.set_result(None)
            return
        self._began = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, found, body = self._came.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        if head[9:12] not in (b"200", b"202"):
            self._fail(self._came.decode(errors="replace")[:500])
            return
        self._answers.latencies_seconds.append(time.perf_counter() - self._began)
        self._answers.bodies.append(body)
        self._came = b""
        self.go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection was closed: {exc}")

    def _fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(reason))


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0] or 0)
