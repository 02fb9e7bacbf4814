"""Watching a job through connections that break, and streams that end."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.turno.faulty_server import TICKET, Answer, Drop, FaultyServer, problem
from turno.client import NotTurno, Refused, Turno, Unreachable

RUNNING = {**TICKET, "status": "running", "result": None, "version": 2}


@pytest.fixture
def turno(server: FaultyServer) -> Iterator[Turno]:
    with Turno(server.url, timeout_seconds=5, retry_seconds=5) as turno:
        yield turno


def stream(*events: dict[str, Any] | str, name: str = "ticket") -> Answer:
    text = "".join(
        event if isinstance(event, str) else f"event: {name}\nid: {event['version']}\ndata: {json.dumps(event)}\n\n"
        for event in events
    )
    return Answer(200, text=text, headers={"Content-Type": "text/event-stream"})


RECONNECT = "event: reconnect\nretry: 10\ndata: {}\n\n"


def statuses(turno: Turno) -> list[str]:
    return [job.status for job in turno.watch("x")]


def test_each_change_is_told_and_the_end_is_the_last(server: FaultyServer, turno: Turno) -> None:
    server.answer(stream(": ping\n\n", RUNNING, TICKET, RUNNING))
    assert statuses(turno) == ["running", "succeeded"]


def test_after_a_break_it_goes_on_behind_the_last_event(server: FaultyServer, turno: Turno) -> None:
    server.answer(stream(RUNNING), Drop(), problem(503, "store-unavailable"), stream(TICKET))
    assert statuses(turno) == ["running", "succeeded"]
    assert "last-event-id" not in server.asked[0].headers
    assert {asked.headers["last-event-id"] for asked in server.asked[1:]} == {"2"}


def test_it_comes_back_when_it_is_asked_to(server: FaultyServer, turno: Turno) -> None:
    server.answer(stream(RUNNING, RECONNECT), stream(RECONNECT), stream(TICKET))
    assert statuses(turno) == ["running", "succeeded"]
    assert len(server.asked) == 3


def test_a_204_gives_the_end_that_was_missed(server: FaultyServer, turno: Turno) -> None:
    server.answer(stream(RUNNING, RECONNECT), Answer(204), Answer(200, TICKET))
    assert statuses(turno) == ["running", "succeeded"]
    assert server.asked[-1].path == "/v1/jobs/x"


def test_an_erased_job_is_an_error(server: FaultyServer, turno: Turno) -> None:
    server.answer(stream(RUNNING, "event: erased\ndata: {}\n\n"), problem(410, "job-erased"))
    with pytest.raises(Refused) as refusal:
        statuses(turno)
    assert refusal.value.code == "job-erased"


def test_an_unknown_job_is_an_error_at_once(server: FaultyServer, turno: Turno) -> None:
    server.answer(problem(404, "unknown-job"))
    with pytest.raises(Refused):
        statuses(turno)
    assert len(server.asked) == 1


@pytest.mark.parametrize("answer", [Drop(), stream(), stream(": ping\n\n")])
def test_a_service_that_tells_nothing_is_given_up(server: FaultyServer, answer: Answer | Drop) -> None:
    server.answer(answer)
    with Turno(server.url, retry_seconds=1.5) as turno, pytest.raises(Unreachable):
        statuses(turno)


@pytest.mark.parametrize(
    "answer", [Answer(200, text="<html>"), Answer(200, TICKET), stream("event: ticket\ndata: {}\n\n")]
)
def test_what_are_not_turnos_events_is_said(server: FaultyServer, turno: Turno, answer: Answer) -> None:
    server.answer(answer)
    with pytest.raises(NotTurno):
        statuses(turno)
