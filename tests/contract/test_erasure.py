"""Erasure, retention and the courier's pages, on every database."""

from datetime import timedelta

import pytest

from shared import jobqueries, jobstore
from shared.database import Database
from shared.jobs import JobStatus, Outcome, Priority, Queued
from tests.shared.make import RESULT, add, claim, get, succeed


def _erase(database: Database, *ids: str) -> None:
    database.write(lambda connection: jobstore.erase(connection, ids), durable=True)


@pytest.mark.parametrize(
    ("before", "after"), [("queued", "canceled"), ("running", "canceled"), ("succeeded", "succeeded")]
)
def test_erasing_cancels_and_leaves_a_tombstone_without_content(before: str, after: str, database: Database) -> None:
    add(database, "a", filename="patient.jpg")
    claims = claim(database, "a") if before != "queued" else []
    if before == "succeeded":
        succeed(database, *claims)
    version = get(database, "a").version
    _erase(database, "a")
    job = get(database, "a")
    assert job.erased_at is not None
    assert (job.status, job.result, job.filename, job.error_detail) == (JobStatus(after), None, None, None)
    assert job.version > version
    assert succeed(database, *claims) == []
    assert get(database, "a").result is None


def test_erasing_twice_changes_nothing_more(database: Database) -> None:
    add(database, "a")
    _erase(database, "a", "unknown")
    job = get(database, "a")
    _erase(database, "a")
    assert get(database, "a") == job


def test_an_erased_jobs_image_is_left_over_until_it_is_forgotten(database: Database) -> None:
    add(database, "a", "b", "c")
    _erase(database, "a", "b")

    def leftover(size: int = 10) -> list[str]:
        return database.read(lambda connection: jobqueries.leftover_image_ids(connection, "", size))

    assert sorted(leftover()) == ["a", "b"]
    assert len(leftover(1)) == 1
    database.write(lambda connection: jobstore.forget_images(connection, ["a"]))
    assert leftover() == ["b"]


def test_expired_are_those_that_ended_long_ago_oldest_first(database: Database) -> None:
    add(database, "a", "b", "c", "d")
    for id_ in ("b", "a", "c"):
        succeed(database, *claim(database, id_))
    _erase(database, "c")

    def expired(days: float, size: int = 10) -> list[str]:
        before = database.read(jobqueries.now) + timedelta(days=days)
        return database.read(lambda connection: jobqueries.expired_ids(connection, before, size))

    assert expired(-1) == []
    ended = {id_: get(database, id_).finished_at for id_ in expired(1)}
    assert ended.keys() == {"a", "b"}
    assert list(ended.values()) == sorted(moment for moment in ended.values() if moment)
    assert len(expired(1, 1)) == 1


def test_queued_pages_walk_every_queued_job_once(database: Database) -> None:
    ids = [f"{number:03}" for number in range(25)]
    add(database, *ids, priority=Priority.BATCH)
    claim(database, "003", "024")
    walked, after = [], ""
    while page := database.read(lambda connection, after=after: jobqueries.queued_page(connection, after, 10)):  # type: ignore[misc]
        assert len(page) <= 10
        walked += page
        after = page[-1].id
    assert [job.id for job in walked] == [id_ for id_ in ids if id_ not in ("003", "024")]
    assert walked[0] == Queued("000", "leaf", "key-a", Priority.BATCH)


def test_a_version_grows_with_each_move_and_with_an_erasure(database: Database) -> None:
    add(database, "queued", "running", "done", "erased")
    claim(database, "running")
    succeed(database, *claim(database, "done"))
    _erase(database, "erased")
    asked = ["queued", "running", "done", "erased", "unknown"]
    found = database.read(lambda connection: jobqueries.versions(connection, asked))
    assert found == {"queued": 1, "running": 2, "done": 3, "erased": 3}


def test_get_leaves_unknown_ids_out_and_gives_erased_ones(database: Database) -> None:
    add(database, "a", "b")
    _erase(database, "b")
    found = database.read(lambda connection: jobqueries.get(connection, ["a", "b", "unknown"]))
    assert {job.id: job.erased_at is not None for job in found} == {"a": False, "b": True}


def test_results_of_any_shape_come_back_as_they_were(database: Database) -> None:
    add(database, "a")
    (one,) = claim(database, "a")
    deep = {**RESULT, "name": {"es": "Roya \U0001f342"}, "numbers": [0.1, 1e-7, 1.0], "none": None}
    database.write(lambda connection: jobstore.finish(connection, [Outcome(one, deep)]), durable=True)
    assert get(database, "a").result == deep


def test_the_databases_clock_is_aware_and_moves_on(database: Database) -> None:
    first, second = database.read(jobqueries.now), database.read(jobqueries.now)
    assert first.tzinfo is not None
    assert second >= first
