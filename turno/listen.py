"""`turno listen`: a receiver of webhooks for development, which shows what comes and whether its signature is right."""

import contextlib
import errno
import io
import re
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

import typer

from shared.errors import OperatorError
from shared.hooks import check_secret
from shared.loopback import is_loopback
from turno.client import Turno, TurnoError
from turno.received import Judge
from turno.remote import advice
from turno.screen import harmless

_BODY_MAX_BYTES = 65_536  # Turno's are below 20 kB
_PATIENCE_SECONDS = 5  # from the connection to the answer
_SAID_MAX = 300  # characters of what http.server says of a request
_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  compared, not bound


def listen(turno: Turno, secret: str | None, *, host: str, port: int, status: int, as_json: bool) -> None:
    """Receives and shows deliveries until SIGINT or SIGTERM.

    Args:
        turno: is asked for the secret when none is given.
        port: 0 takes a free one.
        status: what a delivery with a good signature is answered.

    Raises:
        OperatorError: there is no secret, or the address cannot be used.
    """
    judge = _judge(secret.strip() if secret else _ask(turno))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name need not fit into the terminal's encoding
    try:
        receiver = _Receiver(host, port, judge, status, as_json=as_json)
    except (OSError, UnicodeError) as error:
        raise OperatorError(_unusable(host, port, error)) from error
    with receiver:
        for number in (signal.SIGINT, signal.SIGTERM):
            # in a thread: it returns when `serve_forever` does
            signal.signal(number, lambda *_: threading.Thread(target=receiver.shutdown).start())
        _introduce(receiver)
        receiver.serve_forever(poll_interval=0.1)
    _say("No longer listening.")


class _Receiver(ThreadingMixIn, TCPServer):
    """Takes deliveries, several at once, and shows one after the other."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, judge: Judge, status: int, *, as_json: bool) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)
        self._judge = judge
        self._status = status
        self._as_json = as_json
        self._one_at_a_time = threading.Lock()

    def take(self, headers: Mapping[str, str], body: bytes) -> int:
        """Shows a delivery; what it is to be answered."""
        with self._one_at_a_time:
            received = self._judge.receive(headers, body)
            line = received.as_json() if self._as_json else received.as_text()
            with contextlib.suppress(OSError):  # nobody reads it any more
                typer.echo(line)
        return self._status if received.verified else HTTPStatus.UNAUTHORIZED

    def handle_error(self, *_: object) -> None:
        """One sentence in place of a traceback, which a sender could cause."""
        _say(f"A request could not be answered ({type(sys.exception()).__name__}).")


class _Handler(BaseHTTPRequestHandler):
    """One request, and then the connection is closed."""

    server: _Receiver
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "turno-listen", ""
    error_message_format, error_content_type = "%(message)s\n", "text/plain; charset=utf-8"

    def setup(self) -> None:
        super().setup()
        self._limit = threading.Timer(_PATIENCE_SECONDS, self._cut)
        self._limit.start()

    def finish(self) -> None:
        self._limit.cancel()
        super().finish()

    def do_POST(self) -> None:
        """A delivery."""
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,15}", length):
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "A delivery says how long it is, in Content-Length.")
            return
        if int(length) > _BODY_MAX_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A delivery has at most {_BODY_MAX_BYTES} bytes.")
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            _say(f"A delivery broke off, or was cut off after {_PATIENCE_SECONDS} s: {len(body)} of {length} bytes.")
            return
        self._answer(self.server.take(dict(self.headers.items()), body))

    def _refuse_method(self) -> None:
        self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "Webhooks come as POST.")

    do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse_method  # noqa: N815  http.server's names

    def log_request(self, *_: object) -> None:
        """Nothing: deliveries are shown, and refusals are told by `log_message`."""

    def log_message(self, *said: Any) -> None:
        _say(harmless(f"Refused: {said[0] % said[1:]}"[:_SAID_MAX]))

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        self.log_error("%d, %s", status, sentence)
        self._answer(status, f"{sentence}\n".encode())
        # closed with unread data the connection is reset, and the sender may not see the answer
        self.connection.shutdown(socket.SHUT_WR)
        while self.rfile.read(_BODY_MAX_BYTES):
            pass

    def _answer(self, status: int, text: bytes = b"") -> None:
        self.send_response(status)
        if status != HTTPStatus.NO_CONTENT:  # RFC 9110, 8.6
            self.send_header("Content-Length", str(len(text)))
        if text:
            self.send_header("Content-Type", "text/plain; charset=utf-8")
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "POST")
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def _cut(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _ask(turno: Turno) -> str:
    try:
        return turno.webhook_secret()
    except TurnoError as error:
        raise OperatorError(
            f"The secret cannot be asked for: {advice(error).rstrip('.')}; or give it in TURNO_WEBHOOK_SECRET."
        ) from error


def _judge(secret: str) -> Judge:
    try:
        return Judge(check_secret(secret))
    except ValueError as error:
        raise OperatorError(f"The secret {error}: copy it anew.") from None


def _introduce(receiver: _Receiver) -> None:
    host, port = receiver.server_address[:2]
    shown = f"[{host!s}]" if ":" in str(host) else str(host)
    if host in _EVERY_ADDRESS:
        shown = "<an address of this machine>"
    _say(f"Listening; Ctrl-C ends. Give as webhook_url: http://{shown}:{port}/")
    if is_loopback(str(host)):
        network = "::1/128" if ":" in str(host) else "127.0.0.0/8"
        _say(f"That address is private: the service must have been started with WEBHOOK_ALLOW_NETWORKS={network}.")
    else:
        _say("If it is private, the service must have been started with its network in WEBHOOK_ALLOW_NETWORKS.")


def _unusable(host: str, port: int, error: OSError | UnicodeError) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return f"Port {port} is in use: stop what listens there, or give another with --port."
    if number == errno.EACCES:
        return f"Port {port} needs root's rights: give --port 1024 or above."
    return f"{host} is not an address of this machine: give --host 127.0.0.1 or 0.0.0.0."


def _say(text: str) -> None:
    """On stderr: stdout has the deliveries and nothing else."""
    with contextlib.suppress(OSError):
        typer.echo(f"turno: {text}", err=True)
