"""A server that answers as a test says, faults included, and remembers what it was asked."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO

_KEPT_BYTES = 1_000_000  # of a body

TICKET = {
    "id": "0" * 32,
    "status": "succeeded",
    "model": "leaf-health",
    "received_at": "2026-11-22T08:00:00Z",
    "version": 3,
    "a_field_of_tomorrow": {"is": "passed over"},
    "result": {
        "predicted_class": "rust",
        "confidence": 0.9,
        "predictions": [0.1, 0.9],
        "probabilities": {"healthy": 0.1, "rust": 0.9},
        "verdict": {"kind": "diagnosed", "class": "rust", "probability": 0.95, "advice": {}},
        "model": {"name": "leaf-health", "engine": "openvino"},
    },
}


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """What is sent back."""

    status: int = 200
    document: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None

    def body(self) -> bytes:
        if self.text is not None:
            return self.text.encode()
        return b"" if self.document is None else json.dumps(self.document).encode()


class Drop:
    """The connection breaks before anything is answered."""


Reply = Answer | Drop | Callable[[Asked], Answer | Drop]


def problem(status: int, code: str, **headers: str) -> Answer:
    """A refusal as the service words it."""
    document = {"title": "No.", "status": status, "detail": f"Said {code}.", "code": code, "request_id": "r1"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, document, {"Content-Type": "application/problem+json", **named})


class FaultyServer:
    """Answers from a list, one after the other, the last one for ever."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.asked: list[Asked] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True

            def _serve(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = outer._read(self.rfile, int(headers.get("content-length", 0)))
                asked = Asked(self.command, self.path, headers, body)
                reply = outer._next(asked)
                if isinstance(reply, Drop):
                    # a reset, as from a process that was killed
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                    return
                data = reply.body()
                self.send_response_only(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                if reply.status != 204:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815  http.server's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, *replies: Reply) -> None:
        """What is answered from now on."""
        self.replies = list(replies)

    @staticmethod
    def _read(file: BinaryIO, size_bytes: int) -> bytes:
        kept = file.read(min(size_bytes, _KEPT_BYTES))
        for _ in range(len(kept), size_bytes, _KEPT_BYTES):
            file.read(min(size_bytes - len(kept), _KEPT_BYTES))
            size_bytes -= _KEPT_BYTES
        return kept

    def _next(self, asked: Asked) -> Answer | Drop:
        self.asked.append(asked)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return reply(asked) if callable(reply) else reply

    @contextmanager
    def running(self) -> Iterator["FaultyServer"]:
        """Serves until the context is left."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()
