"""What is to go goes on time, image and all; what is kept stays."""

from datetime import timedelta
from typing import Any

import pytest

from shared import batchstore, jobqueries, jobstore
from shared.hooks import DeliveryState
from shared.jobs import Batch, Keep, Refused
from tests.contract.told import change, hook, log, message, post, states
from tests.photos import jpeg
from tests.shared.make import add, claim, get, new_job, succeed
from tests.worker.bench import Bench
from worker.retention import Retention


@pytest.fixture
def retention(bench: Bench) -> Retention:
    return _retention(bench)


def _retention(bench: Bench, **changes: Any) -> Retention:
    return Retention(bench.settings.model_copy(update=changes), bench.database, bench.images)


def test_what_is_past_its_retention_is_erased_with_its_image(bench: Bench) -> None:
    retention = _retention(bench, retention_days=30)
    for id_ in "ab":
        bench.queue(id_, jpeg())
    succeed(bench.database, *claim(bench.database, "a"))
    now = bench.database.read(jobqueries.now)
    retention.erase(now + timedelta(days=29))
    assert get(bench.database, "a").erased_at is None
    retention.erase(now + timedelta(days=31))
    assert get(bench.database, "a").erased_at is not None
    with pytest.raises(FileNotFoundError):
        bench.images.open("a")
    assert get(bench.database, "b").erased_at is None
    bench.images.open("b").close()


def test_without_a_retention_everything_is_kept(bench: Bench) -> None:
    retention = _retention(bench, retention_days=0)
    bench.queue("a", jpeg())
    succeed(bench.database, *claim(bench.database, "a"))
    retention.erase(bench.database.read(jobqueries.now) + timedelta(days=9999))
    assert get(bench.database, "a").erased_at is None


def test_an_erasure_that_was_interrupted_is_completed(bench: Bench, retention: Retention) -> None:
    bench.queue("a", jpeg())
    bench.database.write(lambda connection: jobstore.erase(connection, ["a"]))
    bench.images.open("a").close()
    retention.erase(bench.database.read(jobqueries.now))
    with pytest.raises(FileNotFoundError):
        bench.images.open("a")
    assert bench.database.read(lambda connection: jobqueries.leftover_image_ids(connection, "", 9)) == []


def test_an_image_that_cannot_be_removed_does_not_keep_others(bench: Bench, retention: Retention) -> None:
    _erase_with_a_folder_in_the_images_place(bench, "a")
    bench.queue("b", jpeg())
    bench.database.write(lambda connection: jobstore.erase(connection, ["b"]))
    retention.erase(bench.database.read(jobqueries.now))
    assert bench.database.read(lambda connection: jobqueries.leftover_image_ids(connection, "", 9)) == ["a"]
    (bench.settings.images_dir / "a" / "a").rmdir()
    retention.erase(bench.database.read(jobqueries.now))
    assert bench.database.read(lambda connection: jobqueries.leftover_image_ids(connection, "", 9)) == []


@pytest.mark.parametrize("keep", [Keep.RESULT, Keep.NOTHING])
def test_an_image_that_is_not_to_be_kept_goes_at_the_end_of_its_job(
    keep: Keep, bench: Bench, retention: Retention
) -> None:
    for id_ in "abc":
        bench.queue(id_, jpeg(), keep=Keep.FULL if id_ == "a" else keep)
    succeed(bench.database, *claim(bench.database, "a", "b"))
    retention.erase(bench.database.read(jobqueries.now))
    assert sorted(_kept_images(bench)) == ["a", "c"]
    assert get(bench.database, "b").result is not None


def test_a_job_whose_image_went_cannot_be_run_again(bench: Bench, retention: Retention) -> None:
    bench.queue("a", jpeg(), keep=Keep.RESULT)
    bench.database.write(lambda connection: jobstore.cancel(connection, "a"))
    retention.erase(bench.database.read(jobqueries.now))
    assert not bench.database.write(lambda connection: jobstore.retry(connection, "a"))


def test_a_result_of_which_nothing_is_to_be_kept_waits_an_hour_to_be_fetched(bench: Bench) -> None:
    retention = _retention(bench, retention_days=0)
    for id_, keep in (("a", Keep.NOTHING), ("b", Keep.RESULT)):
        bench.queue(id_, jpeg(), keep=keep)
    succeed(bench.database, *claim(bench.database, "a", "b"))
    now = bench.database.read(jobqueries.now)
    retention.erase(now + timedelta(minutes=59))
    assert get(bench.database, "a").result is not None
    retention.erase(now + timedelta(minutes=61))
    assert get(bench.database, "a").erased_at is not None
    assert get(bench.database, "a").result is None
    assert get(bench.database, "b").result is not None


def test_an_idempotency_key_is_free_again_after_a_week_and_not_before(bench: Bench, retention: Retention) -> None:
    now = bench.database.read(jobqueries.now)
    add(bench.database, "a", received_at=now, idempotency_key="once")
    retention.erase(now + timedelta(days=6))
    assert not _add(bench, "b", received_at=now, idempotency_key="once")
    retention.erase(now + timedelta(days=8))
    assert _add(bench, "b", received_at=now, idempotency_key="once")


def test_what_was_delivered_or_given_up_goes_after_the_retention_and_what_waits_stays(bench: Bench) -> None:
    retention = _retention(bench, retention_days=30)
    now = bench.database.read(jobqueries.now)
    for number, state in enumerate(DeliveryState):
        (id_,) = post(bench.database, message(number))
        change(bench.database, id_, state=state, created_at=now - timedelta(days=30) + timedelta(minutes=1))
    retention.erase(now)
    assert states(bench.database) == [*DeliveryState]
    retention.erase(now + timedelta(minutes=2))
    assert states(bench.database) == [DeliveryState.PENDING]
    retention.erase(now + timedelta(days=9999))
    assert states(bench.database) == [DeliveryState.PENDING]


def test_without_a_retention_deliveries_are_kept(bench: Bench) -> None:
    retention = _retention(bench, retention_days=0)
    (id_,) = post(bench.database, message())
    change(bench.database, id_, state=DeliveryState.SUCCEEDED)
    retention.erase(bench.database.read(jobqueries.now) + timedelta(days=9999))
    assert states(bench.database) == [DeliveryState.SUCCEEDED]


def test_what_was_told_of_a_job_goes_with_the_job(bench: Bench, retention: Retention) -> None:
    bench.queue("a", jpeg(), keep=Keep.NOTHING, **hook())
    succeed(bench.database, *claim(bench.database, "a"))
    now = bench.database.read(jobqueries.now)
    retention.erase(now + timedelta(minutes=59))
    assert all(one.payload for one in log(bench.database))
    retention.erase(now + timedelta(minutes=61))
    assert [one.payload for one in log(bench.database)] == [None, None]


def test_a_batch_of_which_nothing_is_left_leaves_no_names(bench: Bench) -> None:
    retention = _retention(bench, retention_days=0)
    now = bench.database.read(jobqueries.now)
    batch = Batch("b" * 32, "key-a", now, 2, [Refused(1, "ana.txt", "image-type-refused", "No image.")])
    job = new_job("a", received_at=now, batch_id=batch.id, batch_index=0, keep=Keep.NOTHING)
    assert bench.database.write(lambda connection: batchstore.add(connection, batch, [job]))
    succeed(bench.database, *claim(bench.database, "a"))
    later = now + timedelta(hours=2)
    retention.sweep(later)
    assert _batch(bench).refused == batch.refused
    retention.erase(later)
    retention.sweep(later)
    assert _batch(bench).erased_at is not None
    assert _batch(bench).refused == []


def test_more_than_a_page_goes_in_one_round(bench: Bench, retention: Retention) -> None:
    ids = [f"{number:03}" for number in range(450)]
    add(bench.database, *ids, keep=Keep.NOTHING)
    succeed(bench.database, *claim(bench.database, *ids))
    for _ in range(3):  # as many as fit into half a second, on a slow machine
        retention.erase(bench.database.read(jobqueries.now) + timedelta(hours=2))
    assert all(get(bench.database, id_).erased_at for id_ in ids)


def _batch(bench: Bench) -> Batch:
    found = bench.database.read(lambda connection: batchstore.get(connection, "b" * 32))
    assert found
    return found


def _add(bench: Bench, job_id: str, **changes: Any) -> set[str]:
    return bench.database.write(lambda connection: jobstore.add(connection, [new_job(job_id, **changes)]))


def _kept_images(bench: Bench) -> list[str]:
    return [path.name for path in bench.settings.images_dir.rglob("*") if path.is_file()]


def _erase_with_a_folder_in_the_images_place(bench: Bench, job_id: str) -> None:
    bench.queue(job_id, None)
    (bench.settings.images_dir / job_id / job_id).mkdir()
    bench.database.write(lambda connection: jobstore.erase(connection, [job_id]))
