"""A receiver of webhooks on loopback, as cooperative or as hostile as a test says; it remembers what it was sent.

with Receiver() as receiver:
    receiver.answer_with(answer(500), hang(), answer(204))  # one after the other, the last one for ever
    [first, *_] = receiver.wait_for(1)
    assert first.headers["webhook-id"]
"""

import contextlib
import gzip
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from http import HTTPStatus
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any, BinaryIO, Self

from tests.waiting import wait_for

_DRIP_SECONDS = 0.02
_OK = b"HTTP/1.1 200 OK\r\n"


class End(Enum):
    """What follows an answer."""

    KEEP = "the connection stays open for the next request"
    CLOSE = "it is closed"
    RESET = "it breaks, as when a process is killed"
    HANG = "it stays open and silent until the peer goes"


@dataclass(frozen=True)
class Answer:
    """What is sent back, byte for byte; the functions below make the usual ones."""

    first: bytes = b""
    again: bytes = b""  # after `first`, over and over, until the peer goes
    every_seconds: float = 0  # between two of `again`
    after_seconds: float = 0  # before anything
    end: End = End.CLOSE
    unasked: bool = False  # as soon as somebody connects: no request is read


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]  # by names in lower case
    body: bytes
    peer: tuple[str, int]
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


def answer(
    status: int = 200, body: bytes = b"", headers: dict[str, str] | None = None, *, after_seconds: float = 0
) -> Answer:
    """As a receiver should."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    told = dict(headers or {}) if status == 204 else {"Content-Length": str(len(body)), **(headers or {})}
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in told.items()), "", ""]
    return Answer("\r\n".join(lines).encode("latin-1") + body, after_seconds=after_seconds, end=End.KEEP)


def redirect(to: str, status: int = 302) -> Answer:
    """Sends the sender elsewhere."""
    return answer(status, headers={"Location": to})


def hang() -> Answer:
    """Takes the request and says nothing."""
    return Answer(end=End.HANG)


def drop() -> Answer:
    """Takes the request and closes the connection."""
    return Answer()


def reset() -> Answer:
    """Takes the request and dies."""
    return Answer(end=End.RESET)


def half_an_answer(status: int = 200) -> Answer:
    """Announces more than it sends."""
    return Answer(f"HTTP/1.1 {status} OK\r\nContent-Length: 100\r\n\r\nthe first half".encode())


def garbage() -> Answer:
    """Speaks something else than HTTP."""
    return Answer(b"\x00\xff\x16 SSH-2.0-OpenSSH_9.2 \r\n\r\n\r\n" * 10)


def dripping_headers() -> Answer:
    """A header that grows byte by byte and never ends."""
    return Answer(_OK + b"X-Drip: ", again=b"a", every_seconds=_DRIP_SECONDS)


def dripping_body(status: int = 200) -> Answer:
    """A body that grows byte by byte and never ends."""
    head = f"HTTP/1.1 {status} OK\r\nContent-Length: 1000000\r\n\r\n".encode()
    return Answer(head, again=b"a", every_seconds=_DRIP_SECONDS)


def endless_headers() -> Answer:
    """Headers as fast as the peer takes them."""
    return Answer(_OK, again=b"X-More: " + b"a" * 1000 + b"\r\n")


def endless_body() -> Answer:
    """A body as fast as the peer takes it."""
    return Answer(_OK + b"Transfer-Encoding: chunked\r\n\r\n", again=b"3e8\r\n" + b"a" * 1000 + b"\r\n")


def endless_continues() -> Answer:
    """Informational answers as fast as the peer takes them, and never a final one."""
    return Answer(again=b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


def huge_headers(size_bytes: int = 1_000_000) -> Answer:
    """A complete answer with one header of this size."""
    return answer(headers={"X-Huge": "a" * size_bytes})


def gzip_bomb(size_bytes: int = 50_000_000) -> Answer:
    """A thousandth of what it becomes when it is unpacked, though nobody asked for gzip."""
    return answer(body=gzip.compress(bytes(size_bytes)), headers={"Content-Encoding": "gzip"})


class Receiver:
    """Serves within its context, in threads; a new one on the same port is the old one, restarted."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Received] = []
        self.server_names: list[str | None] = []  # that were asked for in TLS, one for each connection
        self.connections = 0  # in all
        self._open: set[socket.socket] = set()
        self._answers = [answer()]
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._tls = tls
        if tls:
            tls.sni_callback = lambda _socket, name, _context: self.server_names.append(name)
        self._server = _Server(host, port, self)
        self.host, self.port = host, int(self._server.server_address[1])
        scheme, named = "https" if tls else "http", f"[{host}]" if ":" in host else host
        self.url = f"{scheme}://{named}:{self.port}/hook"

    def answer_with(self, *answers: Answer) -> None:
        """What is answered from now on: one after the other, the last one for ever."""
        with self._lock:
            self._answers = list(answers)

    def wait_for(self, count: int, seconds: float = 30) -> list[Received]:
        """The requests, once there are so many."""
        wait_for(lambda: len(self.requests) >= count, f"{count} requests at the receiver", seconds)
        return list(self.requests)

    @property
    def open_connections(self) -> int:
        """How many peers have not gone yet."""
        return len(self._open)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._closing.set()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):  # gone already
                    connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()  # waits for the threads

    def serve(self, connection: socket.socket, peer: tuple[str, int]) -> None:
        """Answers one peer until either has had enough."""
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with connection, connection.makefile("rb") as incoming:
            with self._lock:
                if self._closing.is_set():
                    return
                self.connections += 1
                self._open.add(connection)
            try:
                while self._reply(connection, incoming, peer):
                    pass
            except OSError:  # the peer has gone, or does not trust us
                pass
            finally:
                with self._lock:
                    self._open.remove(connection)

    def _reply(self, connection: socket.socket, incoming: BinaryIO, peer: tuple[str, int]) -> bool:
        """Takes a request and answers it; whether another one may follow."""
        with self._lock:
            unasked = self._answers[0].unasked
        received = None if unasked else _read(incoming, peer)
        if received is None and not unasked:
            return False
        with self._lock:
            if received:
                self.requests.append(received)
            reply = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        self._closing.wait(reply.after_seconds)
        connection.sendall(reply.first)
        while reply.again and not self._closing.wait(reply.every_seconds):
            connection.sendall(reply.again)
        if reply.end is End.RESET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif reply.end is End.HANG:
            while connection.recv(65_536):
                pass
        return reply.end is End.KEEP


def _read(incoming: BinaryIO, peer: tuple[str, int]) -> Received | None:
    """The next request; None when the peer has gone before its end."""
    method, _, rest = incoming.readline().decode("latin-1").partition(" ")
    lines = iter(lambda: incoming.readline().strip(), b"")
    pairs = [line.decode("latin-1").partition(":") for line in lines]
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    size_bytes = int(headers.get("content-length", 0))
    body = incoming.read(size_bytes)
    complete = rest.rstrip().endswith("HTTP/1.1") and len(body) == size_bytes
    return Received(method, rest.split(" ")[0], headers, body, peer) if complete else None


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 1024

    def __init__(self, host: str, port: int, receiver: Receiver) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), BaseRequestHandler)
        self._receiver = receiver

    def finish_request(self, request: Any, client_address: Any) -> None:
        self._receiver.serve(request, client_address[:2])
