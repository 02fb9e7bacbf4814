"""What `turno listen` shows of a delivery: what it says, whether it is genuine, whether it came before."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from shared.hooks import new_secret, signed_headers
from tests.turno.conftest import Start
from tests.turno.listening import SECRET, Listening, message, run_listener

Listen = Callable[..., Listening]


@pytest.fixture
def listen(start: Start) -> Listen:
    return partial(run_listener, start)


def test_a_delivery_is_shown_with_what_it_says_and_again_when_it_is_repeated(listen: Listen) -> None:
    listening = listen()
    assert listening.post(message()) == 204
    assert listening.post(message()) == 204
    failed = {"id": "01a3", "status": "failed", "error": {"code": "worker-lost"}}
    listening.post(message("job.failed", failed), "01a3-4")
    listening.post(message("batch.completed", {"id": "01b1", "counts": {"succeeded": 2, "failed": 0}}), "01b1-6")
    listening.post(message("job.canceled", {"id": "01a4", "erased": True}), "01a4-2")
    listening.post(message("webhook.ping", {}), "ping-1")
    listening.post('{"hello": 1}', "x")
    # each line is there as soon as it is answered, not when a buffer is full
    lines = listening.started.output.splitlines()[2:]
    assert [line.split("  ", 1)[1] for line in lines[::2]] == [
        "job.succeeded  01a2-3  verified",
        "job.succeeded  01a2-3  verified, again",
        "job.failed  01a3-4  verified",
        "batch.completed  01b1-6  verified",
        "job.canceled  01a4-2  verified",
        "webhook.ping  ping-1  verified",
        "(no type)  x  verified",
    ]
    assert [line.strip() for line in lines[1::2]] == [
        "job 01a2 succeeded: oídio",
        "job 01a2 succeeded: oídio",
        "job 01a3 failed: worker-lost",
        "batch 01b1: 2 succeeded",
        "job 01a4 was erased meanwhile",
        "a test",
        "nothing that Turno would say",
    ]
    assert all(re.match(r"2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d  ", line) for line in lines[::2])
    listening.ends_well()


def test_why_a_delivery_is_not_verified_is_said_and_it_is_answered_401(listen: Listen) -> None:
    listening, body, now = listen("--json"), message(), datetime.now(UTC)
    good = signed_headers("01a2-3", body, now, [SECRET])
    answers = [
        listening.post(body, secret=new_secret()),
        listening.send(body.replace("succeeded", "failed").encode(), good),
        listening.post(body, at=now - timedelta(minutes=6)),
        listening.post(body, at=now + timedelta(minutes=6)),
        listening.send(body.encode(), {}),
        listening.send(body.encode(), {**good, "webhook-timestamp": "yesterday"}),
        listening.send(body.encode(), {**good, "webhook-signature": "v1"}),
        listening.send(b"\xff", good),
    ]
    assert answers == [401] * 8
    shown = listening.shown()
    assert [one["reason"] for one in shown] == [
        "wrong secret, or changed on the way",
        "wrong secret, or changed on the way",
        "too old: signed more than 5 minutes ago",
        "signed more than 5 minutes in the future: one of the two clocks is wrong",
        "not signed: without webhook-id, webhook-timestamp, webhook-signature",
        "its webhook-timestamp is no time",
        "its signature or its body cannot be read",
        "its signature or its body cannot be read",
    ]
    assert not any(one["verified"] for one in shown)
    # what anybody can send does not make the genuine delivery a repetition
    assert listening.post(body) == 204
    assert [one["again"] for one in listening.shown()] == [False, True, True, True, False, True, True, True, False]
    listening.ends_well()


def test_json_has_one_object_for_each_delivery(listen: Listen) -> None:
    listening, before = listen("--json", "--status", "500"), datetime.now(UTC)
    both = signed_headers("01a2-3", message(), before, [new_secret(), SECRET])  # while the secret is replaced
    assert listening.send(message().encode(), both) == 500
    assert listening.post("[NaN]", "01a3-1") == 500
    first, second = listening.shown()
    received_at = datetime.fromisoformat(first.pop("received_at"))
    assert timedelta(seconds=-1) < received_at - before < timedelta(seconds=20)
    assert first == {
        "id": "01a2-3",
        "type": "job.succeeded",
        "verified": True,
        "reason": None,
        "again": False,
        "payload": json.loads(message()),
    }
    assert (second["type"], second["payload"]) == (None, None)
    listening.ends_well()
