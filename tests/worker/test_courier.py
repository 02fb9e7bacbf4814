"""What was dropped is picked up, once and in time."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from shared import jobqueries, jobstore
from shared.broker import Bell, make_celery, queue_of
from shared.jobs import JobStatus, Priority, Queued
from tests.photos import jpeg
from tests.shared.make import add, claim, get, statuses, succeed
from tests.waiting import wait_for
from tests.worker.bench import Bench
from worker.courier import Courier, run


@pytest.fixture
def courier(bench: Bench) -> Courier:
    return _courier(bench)


def _courier(bench: Bench, **changes: Any) -> Courier:
    settings = bench.settings.model_copy(update=changes)
    bell = Bell(make_celery(settings), bench.redis)
    return Courier(settings, bench.database, bench.line, bell)


def test_an_audit_puts_back_what_is_missing_and_only_that(bench: Bench, courier: Courier) -> None:
    for id_ in "abcd":
        bench.queue(id_, jpeg())
    courier.audit()
    succeed(bench.database, *claim(bench.database, "c"))
    claim(bench.database, "d")
    bench.line.leave([Queued(id_, "leaf", "key-a", Priority.INTERACTIVE) for id_ in "acd"])
    courier.audit()
    assert sorted(bench.line.take("leaf", 9)) == ["a", "b"]


def test_an_audit_rings_once_while_somebody_waits_and_not_otherwise(bench: Bench, courier: Courier) -> None:
    courier.audit()
    assert bench.redis.llen(queue_of("leaf")) == 0
    bench.queue("a", jpeg())
    courier.audit()
    courier.audit()
    assert bench.redis.llen(queue_of("leaf")) == 1


def test_audits_mend_a_line_lost_as_a_whole_over_many_pages(bench: Bench, courier: Courier) -> None:
    add(bench.database, *(f"{number:05}" for number in range(2500)))
    for _ in range(4):
        courier.audit()
    assert bench.line.depth("leaf") == 2500


def test_a_courier_waits_a_full_lease_before_it_takes_anything_away(bench: Bench, courier: Courier) -> None:
    bench.queue("a", jpeg())
    claim(bench.database, "a", lease_seconds=0)
    start = bench.database.read(jobqueries.now) + timedelta(seconds=1)
    lost = {at: courier.expire(start + timedelta(seconds=at)) for at in range(0, 40, 10)}
    assert {at: len(jobs) for at, jobs in lost.items()} == {0: 0, 10: 0, 20: 0, 30: 1}
    assert (get(bench.database, "a").status, get(bench.database, "a").lost_count) == (JobStatus.QUEUED, 1)


def test_a_courier_that_was_blind_waits_a_full_lease_again(bench: Bench, courier: Courier) -> None:
    start = bench.database.read(jobqueries.now) + timedelta(seconds=1)
    for at in range(0, 60, 10):
        courier.expire(start + timedelta(seconds=at))
    bench.queue("a", jpeg())
    claim(bench.database, "a", lease_seconds=0)
    awake = start + timedelta(seconds=600)
    counts = [len(courier.expire(awake + timedelta(seconds=at))) for at in range(0, 40, 10)]
    assert counts == [0, 0, 0, 1]


def test_a_living_lease_is_left_alone(bench: Bench, courier: Courier) -> None:
    bench.queue("a", jpeg())
    claim(bench.database, "a", lease_seconds=3600)
    start = bench.database.read(jobqueries.now)
    assert not any(courier.expire(start + timedelta(seconds=at)) for at in range(0, 60, 10))


def test_short_leases_are_seen_to_lapse_by_a_courier_that_looks_once_a_second(bench: Bench) -> None:
    courier = _courier(bench, lease_seconds=2, audit_seconds=1)
    bench.queue("a", jpeg())
    claim(bench.database, "a", lease_seconds=0)
    start = bench.database.read(jobqueries.now) + timedelta(seconds=1)
    assert [len(courier.expire(start + timedelta(seconds=at))) for at in range(5)] == [0, 0, 1, 0, 0]


def test_only_jobs_whose_model_nobody_served_for_an_hour_are_ended(bench: Bench, courier: Courier) -> None:
    now = bench.database.read(jobqueries.now)
    old, young = now - timedelta(minutes=61), now - timedelta(minutes=59)
    add(bench.database, "a", model="gone", queued_at=old)
    add(bench.database, "b", model="gone", queued_at=young)
    add(bench.database, "c", queued_at=old)
    add(bench.database, "d", model="gone", queued_at=old)
    claim(bench.database, "d")
    assert [job.id for job in courier.abandon(now)] == ["a"]
    assert (get(bench.database, "a").status, get(bench.database, "a").error_code) == (JobStatus.FAILED, "model-gone")
    assert statuses(bench.database, ["b", "c", "d"]) == {"b": "queued", "c": "queued", "d": "running"}
    assert courier.abandon(now) == []


def test_who_was_ended_waiting_stands_in_no_line(bench: Bench, courier: Courier) -> None:
    now = bench.database.read(jobqueries.now)
    add(bench.database, "late", queued_at=now - timedelta(seconds=9), deadline_seconds=5)
    add(bench.database, "in time", queued_at=now, deadline_seconds=500)
    courier.audit()
    assert bench.line.depth("leaf") == 2
    assert [job.id for job in courier.end_late()] == ["late"]
    assert list(bench.line.take("leaf", 9)) == ["in time"]


def test_a_step_that_fails_every_time_leaves_the_others_working(bench: Bench) -> None:
    _erase_with_a_folder_in_the_images_place(bench, "a")
    (bench.settings.images_dir / "01").rmdir()  # the first sweep fails
    add(bench.database, "b", model="gone")
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        loop = pool.submit(run, bench.settings.model_copy(update={"audit_seconds": 0.05}), stop)
        try:
            wait_for(lambda: get(bench.database, "b").terminal, "the job of a model that is gone to end")
            bench.queue("c", jpeg())
            wait_for(lambda: bench.line.depth("leaf"), "the line to be mended")
        finally:
            stop.set()
        loop.result(30)
    assert list(bench.line.take("leaf", 9)) == ["c"]


def _erase_with_a_folder_in_the_images_place(bench: Bench, job_id: str) -> None:
    bench.queue(job_id, None)
    (bench.settings.images_dir / job_id / job_id).mkdir()
    bench.database.write(lambda connection: jobstore.erase(connection, [job_id]))
