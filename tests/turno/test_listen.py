"""`turno listen`: it takes deliveries and nothing else, nothing that comes harms it, and it ends in good order."""

import json
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial

import httpx
import pytest

from shared.hooks import signed_headers
from tests.conftest import StackFactory
from tests.stack import ROOT
from tests.turno.conftest import Start
from tests.turno.faulty_server import Answer, FaultyServer, problem
from tests.turno.listening import SECRET, Listening, message, run_listener
from tests.waiting import wait_for
from turno.client import Turno

KEY = "kT9xW2mQ7vB4nR8pL1cZ6yH3sD5fG0jA"
Listen = Callable[..., Listening]


@pytest.fixture
def listen(start: Start) -> Listen:
    return partial(run_listener, start)


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_nothing_that_is_sent_reaches_the_terminal_as_a_command(listen: Listen, arguments: list[str]) -> None:
    listening = listen(*arguments, on_terminal=True)
    evil = "\x1b[2J\x1b]0;owned\x07\r\n\x7f\x9b31m\u202e\ud800"
    body = json.dumps({"type": evil, "data": {"id": evil, "status": evil, "result": {"predicted_class": evil}}})
    assert listening.post(body) == 204
    listening.send(body.encode(), [(b"webhook-id", b"a\x9b31m\x7f")])
    with socket.create_connection(("127.0.0.1", listening.port), timeout=20) as raw:
        raw.sendall(b"GET /\x1b[2J\x9b \x1b]0;owned\x07 HTTP/1.1\r\n\r\n")
        assert b" 400 " in raw.recv(65_536)
    wait_for(lambda: "code 400" in listening.started.output, "the refusal")
    printed = listening.ends_well()
    assert "owned" in printed
    assert all(sign.isprintable() or sign in "\r\n" for sign in printed)
    assert "\u202e" not in printed


def test_what_is_no_delivery_is_refused(listen: Listen) -> None:
    listening = listen("--json")
    assert listening.send(b"x" * 65_537, {}) == 413
    assert listening.send(b"x" * 3_000_000, {}) == 413
    assert listening.send(b"[" * 65_536, {}) == 401  # as large as a body may be, and deeper than can be read
    assert httpx.post(listening.url, content=iter([b"{}"]), timeout=20).status_code == 411
    assert httpx.get(listening.url, timeout=20).headers["Allow"] == "POST"
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert httpx.request(method, listening.url, timeout=20).status_code == 405
    assert len(listening.shown()) == 1
    listening.ends_well()


def test_who_is_refused_while_sending_sees_the_answer(listen: Listen) -> None:
    listening = listen("--json")
    head = b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", listening.port), timeout=20) as raw:
        raw.sendall(head + b"x" * 100_000)
        answer = raw.recv(65_536)
        raw.shutdown(socket.SHUT_WR)
        while more := raw.recv(65_536):  # and not a reset, which could have come before the answer
            answer += more
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b"A delivery has at most 65536 bytes.\n")
    listening.ends_well()


def test_who_is_slow_is_cut_off_and_holds_up_nobody(listen: Listen) -> None:
    listening = listen("--json")
    begins = [b"", b"POST / HTTP/1.1\r\nX-Slow: ", b"POST / HTTP/1.1\r\nContent-Length: 900\r\n\r\n"]
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", listening.port), 40)) for _ in begins]
        for connection, begin in zip(slow, begins, strict=True):
            connection.sendall(begin)
        assert listening.post(message()) == 204
        assert all(drips(connection) for connection in slow)
        wait_for(lambda: not [connection for connection in slow if drips(connection)], "the end of the slow ones")
    assert listening.post(message()) == 204
    printed = listening.ends_well()
    assert len(listening.shown()) == 2
    assert "cut off after 5 s" in printed


def drips(connection: socket.socket) -> bool:
    """Sends one more byte, where a connection still takes it."""
    try:
        connection.sendall(b"x")
        connection.setblocking(False)
        return connection.recv(65_536) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_has_begun_to_arrive_is_answered_before_the_end(listen: Listen, number: signal.Signals) -> None:
    listening = listen("--json")
    body = message().encode()
    lines = [f"{name}: {value}" for name, value in signed_headers("x", message(), datetime.now(UTC), [SECRET]).items()]
    head = "\r\n".join(["POST / HTTP/1.1", f"Content-Length: {len(body)}", *lines, "", ""]).encode()
    with socket.create_connection(("127.0.0.1", listening.port), timeout=20) as raw:
        raw.sendall(head + body[:10])
        listening.post(message(), "y")  # so the other one is in hand
        listening.started.process.send_signal(number)
        wait_for(lambda: not reachable(listening.port), "the end of listening")
        raw.sendall(body[10:])
        assert raw.recv(100).startswith(b"HTTP/1.1 204 ")
    assert listening.started.process.wait(20) == 0
    assert [one["id"] for one in listening.shown()] == ["y", "x"]
    assert listening.started.output.endswith("No longer listening.\n")


def reachable(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_service_is_asked_for_the_secret_when_none_is_given(listen: Listen, server: FaultyServer) -> None:
    server.answer(Answer(200, {"secret": SECRET}))
    listening = listen(TURNO_WEBHOOK_SECRET="", TURNO_URL=server.url, TURNO_API_KEY=KEY)
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", "/v1/webhooks/default/secret")
    assert asked.headers["x-api-key"] == KEY
    assert listening.post(message()) == 204
    assert KEY not in listening.ends_well()


def test_the_service_tells_a_listener_of_what_the_client_submitted(make_stack: StackFactory, start: Start) -> None:
    stack = make_stack(API_KEY=KEY, WEBHOOK_ALLOW_NETWORKS="127.0.0.0/8").start()
    listening = run_listener(start, "--json", TURNO_WEBHOOK_SECRET="", TURNO_URL=stack.url, TURNO_API_KEY=KEY)
    with Turno(stack.url, KEY) as turno:
        job = turno.submit(ROOT / "api" / "static" / "examples" / "rust.jpg", webhook_url=listening.url)
    wait_for(listening.shown, "the delivery")
    (shown,) = listening.shown()
    assert (shown["type"], shown["verified"], shown["again"]) == ("job.succeeded", True, False)
    assert shown["id"] == f"{job.id}-{shown['payload']['data']['version']}"
    assert shown["payload"]["data"]["result"]["predicted_class"] == "rust"
    listening.ends_well()


def test_where_to_send_and_what_the_service_needs_for_it_is_said(listen: Listen, free_port: int) -> None:
    assert listen("--port", str(free_port)).ends_well().splitlines()[:2] == [
        f"turno: Listening; Ctrl-C ends. Give as webhook_url: http://127.0.0.1:{free_port}/",
        "turno: That address is private: the service must have been started with WEBHOOK_ALLOW_NETWORKS=127.0.0.0/8.",
    ]
    everywhere = listen("--host", "0.0.0.0").ends_well().splitlines()
    assert "http://<an address of this machine>:" in everywhere[0]
    assert everywhere[1].startswith("turno: If it is private, the service must have been started with its network in ")


def refusal(start: Start, *arguments: str, **settings: str) -> str:
    """The only line that is printed."""
    started = start("-m", "turno", "listen", *arguments, **{"TURNO_WEBHOOK_SECRET": SECRET, **settings})
    assert started.process.wait(40) == 2, started.output
    (line,) = started.output.splitlines()
    return line.removeprefix("turno: ")


def test_without_secret_and_service_one_sentence_says_what_to_do(
    start: Start, server: FaultyServer, free_port: int
) -> None:
    asked = {"TURNO_WEBHOOK_SECRET": "", "TURNO_URL": server.url}
    server.answer(problem(401, "unauthorized"))
    assert refusal(start, **asked) == (
        "The secret cannot be asked for: Said unauthorized: give the key in TURNO_API_KEY or with --api-key; "
        "where Turno runs, it is API_KEY in its .env; or give it in TURNO_WEBHOOK_SECRET."
    )
    server.answer(Answer(200, {"hello": "world"}))
    assert "is not Turno's" in refusal(start, **asked)
    said = refusal(start, **{**asked, "TURNO_URL": f"http://127.0.0.1:{free_port}"})
    assert "cannot be reached" in said
    assert said.endswith("; or give it in TURNO_WEBHOOK_SECRET.")


@pytest.mark.parametrize("secret", ["hello", "whsec_", "whsec_" + "?" * 44, "whsec_" + "A" * 31, "whsec_" + "A" * 33])
def test_what_cannot_be_a_secret_is_refused_and_not_repeated(start: Start, secret: str) -> None:
    said = refusal(start, TURNO_WEBHOOK_SECRET=secret)
    assert said == "The secret must be whsec_ and then 24 to 64 bytes in base64: copy it anew."


def test_an_address_that_cannot_be_used_is_one_sentence(start: Start, free_port: int) -> None:
    with socket.create_server(("127.0.0.1", free_port)):
        said = refusal(start, "--port", str(free_port))
    assert said == f"Port {free_port} is in use: stop what listens there, or give another with --port."
    for host in ("192.0.2.1", "no-such-host.invalid", "a" * 70):
        said = refusal(start, "--host", host)
        assert said == f"{host} is not an address of this machine: give --host 127.0.0.1 or 0.0.0.0."
