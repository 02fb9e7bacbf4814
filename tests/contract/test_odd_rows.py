"""A row that this version would not have written keeps no job from its end, on every database."""

import json

import pytest
import sqlalchemy as sa

from shared import endpointstore, jobstore
from shared.database import Database
from shared.hooks import Event
from shared.jobs import JobStatus
from tests.contract.told import bodies, hook, log, register, told
from tests.shared.make import RESULT, add, claim, get, succeed


def _by_hand(database: Database, statement: str, **values: str) -> None:
    """What another version, or somebody with a console, wrote."""
    assert database.write(lambda connection: connection.execute(sa.text(statement), values)).rowcount == 1


@pytest.mark.parametrize("events", ["job.exploded,job.succeeded", "job.succeeded,job.exploded,", ",,job.succeeded"])
def test_an_event_that_nobody_knows_is_passed_over(events: str, database: Database) -> None:
    endpoint = register(database)
    _by_hand(database, "UPDATE endpoints SET events = :events WHERE id = :id", events=events, id=endpoint.id)
    found = database.read(lambda connection: endpointstore.get(connection, endpoint.id))
    assert found
    assert found.events == (Event.JOB_SUCCEEDED,)
    add(database, "a", **hook(Event.JOB_SUCCEEDED))
    _by_hand(database, "UPDATE jobs SET webhook_events = :events WHERE id = 'a'", events=events)
    assert succeed(database, *claim(database, "a"))
    assert get(database, "a").status is JobStatus.SUCCEEDED
    assert [one[:2] for one in told(database)] == [("a-3", "job.succeeded")] * 2


def test_a_webhook_of_unknown_events_alone_hears_of_nothing(database: Database) -> None:
    endpoint = register(database)
    _by_hand(database, "UPDATE endpoints SET events = 'job.exploded' WHERE id = :id", id=endpoint.id)
    add(database, "a")
    assert succeed(database, *claim(database, "a"))
    assert log(database) == []


@pytest.mark.parametrize("metadata", ['{"note": "\\ud800"}', '{"\\udfff": 1}'])
def test_metadata_that_no_message_can_carry_is_left_out_of_it(metadata: str, database: Database) -> None:
    registered = register(database)
    add(database, "bad", "good", metadata={"plot": "7b"}, **hook())
    _by_hand(database, "UPDATE jobs SET metadata = :metadata WHERE id = 'bad'", metadata=metadata)
    assert get(database, "bad").metadata == json.loads(metadata)  # a lone surrogate, as JSON has it
    assert succeed(database, *claim(database, "bad", "good"))
    assert [get(database, id_).status for id_ in ("bad", "good")] == [JobStatus.SUCCEEDED] * 2
    assert [one[0] for one in told(database)] == [
        "bad-2-started", "bad-2-started", "bad-3", "bad-3", "good-2-started", "good-2-started", "good-3", "good-3",
    ]  # fmt: skip
    for one, body in zip(log(database), bodies(database), strict=True):
        assert body["data"]["id"] == one.job_id
        if one.job_id == "good":
            assert body["data"]["metadata"] == {"plot": "7b"}
        else:
            assert {"metadata", "result", "status"} <= set(body["data"]["omitted"])
            assert body["data"].keys() == {"id", "omitted"}
    assert {one.url for one in log(database)} >= {registered.url}


def test_what_no_message_can_carry_is_canceled_and_erased_like_all_else(database: Database) -> None:
    add(database, "a", "b", metadata={}, **hook())
    for id_ in "ab":
        _by_hand(database, "UPDATE jobs SET metadata = :it WHERE id = :id", it='["\\ud800"]', id=id_)
    database.write(lambda connection: jobstore.cancel(connection, "a"))
    database.write(lambda connection: jobstore.erase(connection, ["b"]))
    assert [get(database, id_).status for id_ in "ab"] == [JobStatus.CANCELED] * 2
    assert [one.message_id for one in log(database)] == ["a-2", "b-2"]


def test_a_result_that_is_no_json_is_left_out_of_its_message(database: Database) -> None:
    add(database, "a", **hook(Event.JOB_SUCCEEDED))
    claims = claim(database, "a")
    assert database.write(
        lambda connection: jobstore.finish(connection, [jobstore.Outcome(claims[0], {**RESULT, "note": "\ud800"})])
    )
    (body,) = bodies(database)
    assert body["data"]["id"] == "a"
    assert "result" in body["data"]["omitted"]
