"""`turno doctor`: a service that is well passes; of one that is not, what is wrong is named, with what to do."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.conftest import shared_stack
from tests.stack import ROOT, Stack
from tests.turno.commands import run
from tests.turno.fake_turno import FakeTurno
from tests.turno.faulty_server import Answer, FaultyServer
from tests.waiting import wait_for
from turno.cli import app
from turno.doctor import bounded, examination

KEY = "kT9xW2mQ7vB4nR8pL1cZ6yH3sD5fG0jA"
HEALTHY = ROOT / "api" / "static" / "examples" / "healthy.jpg"


def examined(url: str, *options: str, **environment: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and what was found by check."""
    ran = CliRunner().invoke(app, ["doctor", "--json", "--url", url, *options], env=environment)
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.output
    report = json.loads(ran.stdout)
    assert report["ok"] == (ran.exit_code == 0)
    return ran.exit_code, {finding["check"]: finding for finding in report["checks"]}


def failed(found: dict[str, dict[str, Any]]) -> set[str]:
    return {name for name, finding in found.items() if finding["state"] == "fail"}


@pytest.fixture(scope="module")
def service(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """One for all tests, of which each says what runs of it."""
    with shared_stack(request, API_KEY=KEY) as stack:
        yield stack


@pytest.fixture
def without_a_worker(service: Stack) -> Stack:
    service.have("redis", "api")
    wait_for(lambda: not service.ready(), "a worker of before to be forgotten")
    return service


def test_a_service_without_a_worker(without_a_worker: Stack) -> None:
    code, found = examined(without_a_worker.url, "--api-key", KEY)
    assert code == 1
    assert failed(found) == {"worker", "model"}
    assert "start a worker" in found["worker"]["to_do"]
    assert found["golden"]["state"] == "skip"


def test_no_key_a_wrong_key_and_keys_that_may_not(without_a_worker: Stack, tmp_path: Path) -> None:
    stack = without_a_worker
    made = {
        scope: run("keys", "create", "--name", "x", "--scope", scope, folder=tmp_path, STATE_DIR=str(stack.folder))
        for scope in ("jobs:read", "jobs:write")
    }
    for options, said in (((), "none was given"), (("--api-key", KEY[::-1]), "not a valid one")):
        code, found = examined(stack.url, *options)
        assert code == 1
        assert failed(found) == {"key"}
        assert said in found["key"]["said"]
        assert "TURNO_API_KEY" in found["key"]["to_do"]
    _, found = examined(stack.url, TURNO_API_KEY=made["jobs:write"].stdout)
    assert failed(found) == {"key"}
    assert "jobs:read" in found["key"]["to_do"]
    _, found = examined(stack.url, TURNO_API_KEY=made["jobs:read"].stdout)
    assert "uploads" in failed(found)
    assert "jobs:write" in found["uploads"]["to_do"]


def test_a_service_that_is_well_passes(service: Stack, tmp_path: Path) -> None:
    stack = service.have()
    ran = run("doctor", folder=tmp_path, TURNO_URL=stack.url, TURNO_API_KEY=KEY)
    assert ran.returncode == 0, ran.stdout
    lines = ran.stdout.splitlines()
    assert lines[-1] == "All is well."
    assert {line.split()[0] for line in lines[:-1]} == {"ok"}
    for said in ("Turno 0.1.0", "rust.jpg is rust", "healthy, powdery_mildew, rust", "infer", "6 MB get through"):
        assert said in ran.stdout

    code, found = examined(stack.url, "--api-key", KEY, "--image", str(HEALTHY), "--expect", "rust")
    assert code == 1
    assert failed(found) == {"answer"}
    assert "is healthy" in found["answer"]["said"]
    assert "order of the labels" in found["answer"]["to_do"]

    stack.kill("worker")
    stack.redis.kill()
    code, found = examined(stack.url, "--api-key", KEY)
    assert code == 1
    assert {"line", "worker", "model"} <= failed(found)
    assert "Redis" in found["line"]["to_do"]


def test_nobody_there() -> None:
    code, found = examined("http://127.0.0.1:1")
    assert code == 1
    assert failed(found) == {"address"}
    assert "make run" in found["address"]["to_do"]


@pytest.mark.parametrize(
    "answer",
    [Answer(200, text="<html>"), Answer(404, text=""), Answer(200, ["alive"]), Answer(301, headers={"Location": "/x"})],
)
def test_what_is_not_turno(server: FaultyServer, answer: Answer) -> None:
    server.answer(answer)
    code, found = examined(server.url)
    assert code == 1
    assert failed(found) == {"address"}


def test_a_server_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "_CHECK_SECONDS", 0.5)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        code, found = examined(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert code == 1
    assert failed(found) == {"address"}


def test_work_that_hangs_is_left_behind() -> None:
    held = threading.Event()
    with pytest.raises(bounded.TookTooLong):
        bounded.bounded(0.2, lambda: held.wait(60))
    held.set()


@pytest.mark.parametrize(
    ("wrong", "check", "said"),
    [
        (FakeTurno(probabilities={"rust": 0.9, "healthy": 0.1}), "answer", "not the card's"),
        (FakeTurno(probabilities={"healthy": 0.1, "blight": 0.9}), "answer", "not the card's"),
        (FakeTurno(probabilities={"healthy": 0.1, "rust": 0.3}), "answer", "sum to 0.400"),
        (FakeTurno(labels=[]), "labels", "no labels"),
        (FakeTurno(most_bytes=1_000_000), "uploads", "A proxy"),
        (FakeTurno(status="failed"), "golden", "failed"),
    ],
)
def test_one_thing_that_is_wrong(server: FaultyServer, wrong: FakeTurno, check: str, said: str) -> None:
    server.answer(wrong)
    code, found = examined(server.url)
    assert code == 1
    assert check in failed(found)
    assert said in found[check]["said"]
    assert found[check]["to_do"]


def test_a_photo_that_is_never_taken_is_withdrawn(server: FaultyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("turno.doctor.golden.RESULT_SECONDS", 0.5)
    server.answer(FakeTurno(status="queued"))
    code, found = examined(server.url)
    assert code == 1
    assert failed(found) == {"golden"}
    assert any(asked.path.endswith("/cancel") for asked in server.asked)


@pytest.mark.parametrize(
    ("wrong", "check", "said"),
    [
        (FakeTurno(prefer=False), "wait", "Prefer"),
        (FakeTurno(seconds_ahead=600), "clock", "ahead of ours"),
        (FakeTurno(title="Another"), "version", "which version"),
    ],
)
def test_what_works_but_not_as_it_should_is_a_warning(
    server: FaultyServer, wrong: FakeTurno, check: str, said: str
) -> None:
    server.answer(wrong)
    code, found = examined(server.url)
    assert code == 0, found
    assert found[check]["state"] == "warn"
    assert said in found[check]["said"]


def test_events_that_do_not_come_with_the_answer_are_a_warning(server: FaultyServer) -> None:
    held = threading.Event()
    server.answer(FakeTurno(events_held=held))
    code, found = examined(server.url)
    held.set()
    assert code == 0, found
    assert found["events"]["state"] == "warn"
    assert "proxy_buffering off" in found["events"]["to_do"]


def test_events_that_come_all_at_the_end_are_a_warning(server: FaultyServer) -> None:
    server.answer(FakeTurno(ends_after_seconds=1.3))  # longer than an event may take
    code, found = examined(server.url)
    assert code == 0, found
    assert found["events"]["state"] == "warn"


def test_plain_http_to_another_machine_is_a_warning_and_the_environments_proxy_is_used(server: FaultyServer) -> None:
    server.answer(FakeTurno())
    code, found = examined("http://turno.example.org", HTTP_PROXY=server.url)
    assert code == 0, found
    assert found["transport"]["state"] == "warn"
    code, found = examined(server.url, HTTP_PROXY="http://127.0.0.1:1")  # this machine is reached without one
    assert code == 0, found
    assert "transport" not in found
