"""Whoever is to hear of a move hears of it once, in the transaction that makes it, on every database."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from shared import endpointstore, jobqueries, jobstore
from shared.database import Database
from shared.errors import ImageUndecodable
from shared.hooks import ENDS, Event
from shared.jobs import MOVES, Outcome
from tests.contract.told import EVERYTHING, URL, bodies, hook, log, register, told
from tests.shared.make import EPOCH, RESULT, add, claim, finish, get, lose, succeed

Step = Callable[[Database], Any]


def _write(work: Callable[..., Any], *arguments: Any) -> Step:
    return lambda database: database.write(lambda connection: work(connection, *arguments), durable=True)


def _hand_back(database: Database) -> None:
    claims = claim(database, "a")
    database.write(lambda connection: jobstore.hand_back(connection, claims))


def _fail(database: Database) -> None:
    finish(database, *[Outcome(one, error_code=ImageUndecodable.code) for one in claim(database, "a")])


def _claim(database: Database) -> None:
    assert claim(database, "a")


CANCEL, ERASE = _write(jobstore.cancel, "a"), _write(jobstore.erase, ["a"])
STARTED, SUCCEEDED, FAILED, CANCELED = EVERYTHING[:4]
# what happens to a job that is queued, and of which versions of it is told what
MOVED: dict[str, tuple[list[Step], dict[int, Event]]] = {
    "claim": ([_claim], {2: STARTED}),
    "succeed": ([lambda database: succeed(database, *claim(database, "a"))], {2: STARTED, 3: SUCCEEDED}),
    "fail": ([_fail], {2: STARTED, 3: FAILED}),
    "hand_back": ([_hand_back], {2: STARTED}),
    "requeue_lost": ([lambda database: lose(database, "a", 2)], {2: STARTED, 4: STARTED}),
    "give_up": ([lambda database: lose(database, "a", 3)], {2: STARTED, 4: STARTED, 6: STARTED, 7: FAILED}),
    "expire": ([_write(jobstore.expire)], {2: FAILED}),
    "abandon": ([_write(jobstore.abandon, ["other"], EPOCH + timedelta(days=1))], {2: FAILED}),
    "cancel": ([CANCEL], {2: CANCELED}),
    "retry": ([CANCEL, _write(jobstore.retry, "a")], {2: CANCELED}),
    "cancel one that runs": ([_claim, CANCEL], {2: STARTED, 3: CANCELED}),
    "cancel again": ([CANCEL, CANCEL], {2: CANCELED}),
    "erase": ([ERASE], {2: CANCELED}),
    "erase one that runs": ([_claim, ERASE], {2: STARTED, 3: CANCELED}),
    "erase one that has ended": ([_fail, ERASE, ERASE], {2: STARTED, 3: FAILED}),
    "end again after a retry": ([CANCEL, _write(jobstore.retry, "a"), CANCEL], {2: CANCELED, 4: CANCELED}),
    "lapse": (
        [_claim, lambda database: database.write(lambda it: jobstore.requeue_lapsed(it, _in_an_hour(database)))],
        {2: STARTED},
    ),
}


def _in_an_hour(database: Database) -> datetime:
    return database.read(jobqueries.now) + timedelta(hours=1)


@pytest.mark.parametrize("name", sorted(MOVES.keys() | MOVED))
def test_a_start_and_an_end_are_told_and_nothing_else(name: str, database: Database) -> None:
    steps, messages = MOVED[name]
    registered = register(database)
    add(database, "a", deadline_seconds=1 if name == "expire" else None, **hook())
    add(database, "b", caller="key-b", deadline_seconds=1 if name == "expire" else None)  # nobody hears of this one
    for step in steps:
        step(database)
    expected = [(f"a-{version}" + "-started" * (event is STARTED), str(event)) for version, event in messages.items()]
    assert told(database) == sorted((*one, url) for one in expected for url in (URL, str(registered.url)))


def test_each_address_hears_of_what_it_asked_for(database: Database) -> None:
    register(database, "https://one.example/", [SUCCEEDED])
    register(database, "https://two.example/", [FAILED])
    add(database, "a", **hook(*ENDS))
    add(database, "b")
    succeed(database, *claim(database, "a", "b"))
    assert told(database) == [
        ("a-3", "job.succeeded", "https://one.example/"),
        ("a-3", "job.succeeded", URL),
        ("b-3", "job.succeeded", "https://one.example/"),
    ]


def test_of_jobs_that_end_together_each_is_told_to_its_own_caller(database: Database) -> None:
    for caller in ("key-a", "key-b"):
        register(database, f"https://{caller}.example/", [SUCCEEDED], caller)
        add(database, f"of-{caller}", caller=caller)
    succeed(database, *claim(database, "of-key-a", "of-key-b"))
    assert told(database) == [(f"of-{of}-3", "job.succeeded", f"https://{of}.example/") for of in ("key-a", "key-b")]


def test_a_message_has_one_id_for_every_address_and_another_after_a_retry(database: Database) -> None:
    for number in range(3):
        register(database, f"https://{number}.example/", ENDS)
    job_id = "0123456789abcdef" * 2
    add(database, job_id, **hook(*ENDS))
    for _ in range(2):
        database.write(lambda connection: jobstore.cancel(connection, job_id))
        database.write(lambda connection: jobstore.retry(connection, job_id))
    ids = [one.message_id for one in log(database)]
    assert ids == [f"{job_id}-2"] * 4 + [f"{job_id}-4"] * 4
    assert not any("." in id_ for id_ in ids)  # the standard joins an id to what it signs with dots


def test_nobody_hears_of_an_end_that_did_not_count(database: Database) -> None:
    add(database, "a", "b", **hook(*ENDS))
    first, second = claim(database, "a", "b")
    database.write(lambda connection: jobstore.hand_back(connection, [second]))
    database.write(lambda connection: jobstore.cancel(connection, "a"))
    assert succeed(database, first, second) == []
    assert told(database) == [("a-3", "job.canceled", URL)]


def test_what_is_taken_back_is_not_told(database: Database) -> None:
    add(database, "a", **hook())

    def cancel_and_raise(connection: sa.Connection) -> None:
        assert jobstore.cancel(connection, "a")
        raise KeyError("of the caller")

    with pytest.raises(KeyError):
        database.write(cancel_and_raise)
    assert log(database) == []


def test_webhooks_that_are_disabled_removed_or_of_others_hear_nothing(database: Database) -> None:
    disabled, removed, enabled = (register(database, f"https://{name}.example/") for name in ("d", "r", "e"))
    register(database, caller="key-b")
    database.write(lambda connection: endpointstore.default_of(connection, "key-a"))
    for endpoint in (disabled, enabled):
        database.write(lambda connection, it=endpoint: endpointstore.disable(connection, it.id, "for a test"))
    database.write(lambda connection: endpointstore.remove(connection, removed.id))
    database.write(lambda connection: endpointstore.enable(connection, enabled.id))
    add(database, "a")
    CANCEL(database)
    assert told(database) == [("a-2", "job.canceled", str(enabled.url))]


def test_a_delivery_says_whose_it_is_and_is_due_at_once(database: Database) -> None:
    endpoint = register(database)
    add(database, "a", **hook(*ENDS))
    before = database.read(jobqueries.now)
    CANCEL(database)
    by_url = {one.url: one for one in log(database)}
    assert by_url[URL].endpoint_id is None
    assert by_url[str(endpoint.url)].endpoint_id == endpoint.id
    for one in by_url.values():
        assert (one.caller, one.job_id, one.batch_id, one.state, one.tries) == ("key-a", "a", None, "pending", 0)
        assert one.attempts == []
        assert one.next_attempt_at
        assert before <= one.next_attempt_at <= database.read(jobqueries.now)


def test_a_message_carries_the_job_as_it_stands(database: Database) -> None:
    add(database, "a", metadata={"plot": "7b"}, **hook())
    succeed(database, *claim(database, "a"))
    started, ended = bodies(database)
    job = get(database, "a")
    assert job.finished_at
    assert job.claimed_at
    assert [one.keys() for one in (started, ended)] == [{"type", "timestamp", "data"}] * 2
    assert (started["type"], started["data"]["status"]) == ("job.started", "running")
    assert datetime.fromisoformat(started["timestamp"]) == job.claimed_at
    assert (ended["type"], ended["data"]["status"]) == ("job.succeeded", "succeeded")
    assert datetime.fromisoformat(ended["timestamp"]) == job.finished_at
    assert (ended["data"]["id"], ended["data"]["version"], ended["data"]["metadata"]) == ("a", 3, {"plot": "7b"})
    assert ended["data"]["result"]["predicted_class"] == RESULT["predicted_class"]
    assert "omitted" not in ended["data"]


def test_a_message_does_not_say_where_it_goes(database: Database) -> None:
    register(database)
    add(database, "a", **hook(*ENDS))
    succeed(database, *claim(database, "a"))
    for one, body in zip(log(database), bodies(database), strict=True):
        assert URL not in (one.payload or "")
        assert str(one.url) not in (one.payload or "")
        assert not [name for name in body["data"] if "webhook" in name]
        assert body["data"].keys() >= {"id", "batch_id", "metadata", "priority", "result", "error", "urls"}


def test_an_erasure_takes_what_was_told_in_its_transaction(database: Database) -> None:
    add(database, "a", "b", filename="patient.jpg", **hook(*ENDS))
    succeed(database, *claim(database, "a"))

    def erase_and_raise(connection: sa.Connection) -> None:
        jobstore.erase(connection, ["a", "b"])
        raise KeyError("of the caller")

    with pytest.raises(KeyError):
        database.write(erase_and_raise)
    assert ["patient.jpg" in (one.payload or "") for one in log(database)] == [True]
    database.write(lambda connection: jobstore.erase(connection, ["a"]))
    database.write(lambda connection: jobstore.erase(connection, ["b"]))  # is canceled first
    assert [(one.message_id, one.payload) for one in log(database)] == [("a-3", None), ("b-2", None)]
