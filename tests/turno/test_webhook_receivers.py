"""The receivers of docs/webhooks.md, run as they stand there: what they answer, and what they keep."""

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from shared.hooks import new_secret, signed_headers
from tests.stack import ROOT
from tests.waiting import wait_for

PAGE = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
SECRET, NEXT_SECRET = new_secret(), new_secret()
BODY = '{"type": "job.succeeded", "timestamp": "2026-11-22T09:26:31Z", "data": {"id": "01a2", "filename": "oídio.jpg"}}'


@dataclass
class Receiver:
    """An example that runs."""

    url: str
    accepted: Callable[[], int]  # how many messages it has kept

    def post(self, headers: dict[str, str], body: str = BODY) -> int:
        return httpx.post(self.url, content=body, headers=headers, timeout=20).status_code


def example(language: str) -> str:
    """The page's only block in this language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@contextmanager
def running(command: list[str], folder: Path, port: int) -> Iterator[Path]:
    """Runs it in this folder until the context is left; the file with what it prints."""
    environment = {"PATH": os.environ["PATH"], "TURNO_WEBHOOK_SECRET": SECRET, "PORT": str(port)}
    printed = folder / "printed"

    def listens() -> bool:
        assert process.poll() is None, printed.read_text(encoding="utf-8")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    with printed.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)
    try:
        wait_for(listens, f"{command[0]} on port {port}", seconds=60)
        yield printed
        assert process.poll() is None, printed.read_text(encoding="utf-8")
    finally:
        process.kill()
        process.wait()


@contextmanager
def python_receiver(folder: Path, port: int) -> Iterator[Receiver]:
    (folder / "receiver.py").write_text(example("python"), encoding="utf-8")

    def accepted() -> int:
        with closing(sqlite3.connect(folder / "inbox.sqlite")) as inbox:
            rows = inbox.execute("SELECT id, body FROM inbox").fetchall()
        assert {body for _, body in rows} <= {BODY.encode()}
        return len(rows)

    command = [sys.executable, "-m", "uvicorn", "receiver:app", "--port", str(port)]
    with running(command, folder, port):
        yield Receiver(f"http://127.0.0.1:{port}/turno", accepted)


@contextmanager
def node_receiver(folder: Path, port: int) -> Iterator[Receiver]:
    """A missing Node skips at home and fails in CI."""
    node = shutil.which("node")
    if node is None:
        assert not os.environ.get("CI"), "node is missing"
        pytest.skip("node is missing")
    (folder / "receiver.mjs").write_text(example("js"), encoding="utf-8")
    with running([node, "receiver.mjs"], folder, port) as printed:
        yield Receiver(f"http://127.0.0.1:{port}/", lambda: printed.read_text().count("job.succeeded\n"))


@pytest.fixture(params=[python_receiver, node_receiver], ids=["python", "node"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path, free_port: int) -> Iterator[Receiver]:
    with request.param(tmp_path, free_port) as receiver:
        yield receiver


def signed(*secrets: str, message_id: str = "01a2-3", at: datetime | None = None) -> dict[str, str]:
    return signed_headers(message_id, BODY, at or datetime.now(UTC), list(secrets))


def test_what_is_genuine_is_answered_204_and_kept_once(receiver: Receiver) -> None:
    assert receiver.post(signed(SECRET)) == 204
    assert receiver.post(signed(SECRET)) == 204
    wait_for(lambda: receiver.accepted() == 1, "the message")
    nearly_too_old = datetime.now(UTC) - timedelta(minutes=4)
    assert receiver.post(signed(NEXT_SECRET, SECRET, message_id="01a3-3", at=nearly_too_old)) == 204
    assert receiver.post(signed(SECRET, NEXT_SECRET, message_id="01a4-3")) == 204
    wait_for(lambda: receiver.accepted() == 3, "the messages signed twice")


def test_what_is_not_genuine_is_answered_401_and_not_kept(receiver: Receiver) -> None:
    good, now = signed(SECRET), datetime.now(UTC)
    later = {**good, "webhook-timestamp": str(int(now.timestamp()) + 5)}
    signature = good["webhook-signature"]
    bad = {
        "a wrong secret": signed(NEXT_SECRET),
        "two wrong secrets": signed(NEXT_SECRET, new_secret()),
        "an old timestamp": signed(SECRET, at=now - timedelta(minutes=6)),
        "a timestamp of tomorrow": signed(SECRET, at=now + timedelta(days=1)),
        "another timestamp": later,
        "another id": {**good, "webhook-id": "01a9-3"},
        "no headers": {},
        **{f"no {name}": {key: value for key, value in good.items() if key != name} for name in good},
        "no time": {**good, "webhook-timestamp": "yesterday"},
        "an empty signature": {**good, "webhook-signature": "v1,"},
        "no signature": {**good, "webhook-signature": "v1"},
        "half a signature": {**good, "webhook-signature": signature[:20]},
        "another version": {**good, "webhook-signature": signature.replace("v1,", "v2,")},
    }
    assert {how: receiver.post(headers) for how, headers in bad.items()} == dict.fromkeys(bad, 401)
    assert receiver.post(good, BODY.replace("succeeded", "failed")) == 401
    assert receiver.post(good, "") == 401
    not_ascii = [(name.encode(), value.encode()) for name, value in good.items() if name != "webhook-signature"]
    not_ascii.append((b"webhook-signature", signature[:-1].encode() + b"\xe9"))
    assert httpx.post(receiver.url, content=BODY, headers=not_ascii, timeout=20).status_code == 401
    # the genuine one is answered all the same, and is the only one that was kept
    assert receiver.post(good) == 204
    wait_for(lambda: receiver.accepted() == 1, "the genuine message")


def test_the_receiver_in_node_breaks_off_a_body_that_is_too_large(tmp_path: Path, free_port: int) -> None:
    with node_receiver(tmp_path, free_port) as receiver:
        with pytest.raises(httpx.TransportError):
            receiver.post(signed(SECRET), 10_000_000 * "x")
        assert receiver.post(signed(SECRET), 60_000 * "x") == 401
        assert receiver.post(signed(SECRET)) == 204
        wait_for(lambda: receiver.accepted() == 1, "the message")


def test_a_sender_that_breaks_off_does_no_harm(receiver: Receiver) -> None:
    address = httpx.URL(receiver.url)
    head = f"POST {address.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    with socket.create_connection((address.host, address.port or 0), timeout=20) as raw:
        raw.sendall(head.encode() + b"{")
    assert receiver.post(signed(SECRET)) == 204
    wait_for(lambda: receiver.accepted() == 1, "the message")


def test_the_examples_are_short() -> None:
    lengths = {language: len(re.findall(r"^.*\S", example(language), re.MULTILINE)) for language in ("python", "js")}
    assert lengths["python"] <= 16
    assert lengths["js"] <= 22
