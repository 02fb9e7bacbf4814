"""A job that no worker takes in the time its caller gave it fails, and is not run late."""

from datetime import UTC, datetime, timedelta

from shared import jobqueries, jobstore
from shared.database import Database
from shared.jobs import Job
from tests.shared.make import add, claim, get, statuses, succeed


def _expire(database: Database) -> list[Job]:
    return database.write(jobstore.expire, durable=True)


def _now(database: Database) -> datetime:
    return database.read(jobqueries.now)


def test_a_deadline_that_has_passed_ends_what_waits_and_nothing_else(database: Database) -> None:
    long_ago = _now(database) - timedelta(seconds=100)
    add(database, "late", "running", "done", queued_at=long_ago, deadline_seconds=90)
    add(database, "in time", queued_at=long_ago, deadline_seconds=1000)
    add(database, "patient", queued_at=long_ago)
    assert claim(database, "late", "running", "done") == []
    add(database, "taken", queued_at=long_ago, deadline_seconds=200)
    claim(database, "taken")
    ended = _expire(database)
    assert sorted(job.id for job in ended) == ["done", "late", "running"]
    assert {(job.status, job.error_code) for job in ended} == {("failed", "deadline-exceeded")}
    assert statuses(database, ["in time", "patient", "taken"]) == {
        "in time": "queued", "patient": "queued", "taken": "running",
    }  # fmt: skip
    assert _expire(database) == []


def test_a_claimed_job_is_finished_whatever_its_deadline(database: Database) -> None:
    add(database, "a", queued_at=_now(database), deadline_seconds=100)
    (claimed,) = claim(database, "a")
    assert succeed(database, claimed)
    assert get(database, "a").status == "succeeded"


def test_a_deadline_begins_anew_with_a_retry(database: Database) -> None:
    add(database, "a", queued_at=_now(database) - timedelta(days=1), deadline_seconds=60)
    (ended,) = _expire(database)
    assert ended.version == 2
    assert database.write(lambda connection: jobstore.retry(connection, "a"))
    job = get(database, "a")
    assert job.deadline_at is not None
    assert timedelta(seconds=55) < job.deadline_at - _now(database) <= timedelta(seconds=60)
    assert [one.id for one in claim(database, "a")] == ["a"]


def test_a_job_without_a_deadline_gets_none_by_a_retry(database: Database) -> None:
    add(database, "a", queued_at=datetime.now(UTC))
    database.write(lambda connection: jobstore.cancel(connection, "a"))
    assert database.write(lambda connection: jobstore.retry(connection, "a"))
    assert get(database, "a").deadline_at is None
