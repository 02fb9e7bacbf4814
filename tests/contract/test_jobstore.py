"""Every arrow of a job's life, on every database."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from shared import jobqueries, jobstore
from shared.database import Database
from shared.errors import ImageUndecodable, WorkerLost
from shared.jobs import MAX_LOST, JobStatus, Outcome, Priority
from shared.tables import jobs
from tests.shared.make import EPOCH, RESULT, add, claim, finish, get, lose, new_job, statuses, succeed

S = JobStatus


def _cancel(database: Database, job_id: str) -> bool:
    return database.write(lambda connection: jobstore.cancel(connection, job_id), durable=True)


def _retry(database: Database, job_id: str) -> bool:
    return database.write(lambda connection: jobstore.retry(connection, job_id), durable=True)


def _erase(database: Database, *ids: str) -> None:
    database.write(lambda connection: jobstore.erase(connection, ids), durable=True)


def _fail(database: Database, job_id: str) -> None:
    (one,) = claim(database, job_id)
    assert finish(database, Outcome(one, error_code=ImageUndecodable.code, error_detail="Damaged."))


def test_an_added_job_is_queued_as_it_was_given(database: Database) -> None:
    add(database, "a", filename="hoja ñ 葉.jpg", priority=Priority.BATCH, caller="key-b")
    job = get(database, "a")
    assert (job.status, job.run, job.attempt, job.lost_count, job.version) == (S.QUEUED, 1, 0, 0, 1)
    assert (job.filename, job.priority, job.caller) == ("hoja ñ 葉.jpg", Priority.BATCH, "key-b")
    assert job.received_at == job.queued_at == EPOCH
    assert job.received_at.tzinfo is not None
    assert (job.claimed_at, job.finished_at, job.erased_at, job.result, job.error_code) == (None,) * 5


def test_one_bad_row_takes_the_whole_addition_back(database: Database) -> None:
    good, bad = new_job("a"), new_job("b", caller=None)
    with pytest.raises(IntegrityError):
        database.write(lambda connection: jobstore.add(connection, [good, bad]))
    assert statuses(database, ["a", "b"]) == {}


def test_a_row_that_is_there_already_stays_and_takes_no_other_back(database: Database) -> None:
    add(database, "a")
    claim(database, "a")
    add(database, "a", "b")  # the same submission again, after a commit of which nobody knew
    assert statuses(database, ["a", "b"]) == {"a": "running", "b": "queued"}


def test_a_claim_takes_what_is_queued_in_the_order_asked_for(database: Database) -> None:
    add(database, "a", "b", "c")
    claims = claim(database, "c", "unknown", "a")
    assert [(one.id, one.attempt) for one in claims] == [("c", 1), ("a", 1)]
    assert statuses(database, ["a", "b", "c"]) == {"a": "running", "b": "queued", "c": "running"}
    assert get(database, "a").claimed_at is not None


def test_what_is_claimed_is_not_claimed_again(database: Database) -> None:
    add(database, "a", "b")
    assert [one.id for one in claim(database, "a")] == ["a"]
    assert [one.id for one in claim(database, "a", "b")] == ["b"]
    assert claim(database, "a", "b") == []


def test_a_result_is_stored_with_its_job(database: Database) -> None:
    add(database, "a")
    claims = claim(database, "a")
    assert succeed(database, *claims) == [Outcome(claims[0], RESULT)]
    job = get(database, "a")
    assert (job.status, job.result, job.error_code, job.version) == (S.SUCCEEDED, RESULT, None, 3)
    assert job.finished_at is not None
    assert job.claimed_at is not None
    assert job.finished_at >= job.claimed_at


def test_an_error_is_stored_with_its_job(database: Database) -> None:
    add(database, "a")
    _fail(database, "a")
    job = get(database, "a")
    assert (job.status, job.result) == (S.FAILED, None)
    assert (job.error_code, job.error_detail) == ("image-undecodable", "Damaged.")


def test_an_end_counts_once(database: Database) -> None:
    add(database, "a")
    claims = claim(database, "a")
    assert succeed(database, *claims)
    assert succeed(database, *claims) == []
    assert finish(database, Outcome(claims[0], error_code="model-fault")) == []
    assert get(database, "a").status is S.SUCCEEDED


def test_a_claim_that_a_crashed_database_forgot_counts_for_nothing(database: Database) -> None:
    add(database, "a")
    (forgotten,) = claim(database, "a", owner="first")
    forget = sa.update(jobs).values(status=S.QUEUED, attempt=0, owner=None, lease_until=None)
    database.write(lambda connection: connection.execute(forget))
    (held,) = claim(database, "a", owner="second")
    assert held.attempt == forgotten.attempt
    assert succeed(database, forgotten) == []
    database.write(lambda connection: jobstore.hand_back(connection, [forgotten]))
    assert get(database, "a").status is S.RUNNING
    assert len(succeed(database, held)) == 1


def test_a_canceled_jobs_late_result_is_dropped(database: Database) -> None:
    add(database, "a", "b")
    claims = claim(database, "a", "b")
    assert _cancel(database, "a")
    assert [outcome.claim.id for outcome in succeed(database, *claims)] == ["b"]
    assert get(database, "a").status is S.CANCELED
    assert get(database, "a").result is None


def test_a_stale_workers_result_is_dropped_while_another_has_the_job(database: Database) -> None:
    add(database, "a")
    stale = claim(database, "a", owner="first")
    database.write(lambda connection: jobstore.requeue_owned_by(connection, "first"))
    fresh = claim(database, "a", owner="second")
    assert succeed(database, *stale) == []
    database.write(lambda connection: jobstore.hand_back(connection, stale))
    assert get(database, "a").status is S.RUNNING
    assert succeed(database, *fresh)
    assert get(database, "a").attempt == 2


def test_a_result_from_before_a_retry_is_dropped(database: Database) -> None:
    add(database, "a")
    stale = claim(database, "a")
    assert _cancel(database, "a")
    assert _retry(database, "a")
    assert succeed(database, *stale) == []
    assert claim(database, "a")[0].attempt == 2
    assert succeed(database, *stale) == []


def test_a_batch_handed_back_is_queued_uncounted(database: Database) -> None:
    add(database, "a", "b")
    claims = claim(database, "a", "b")
    database.write(lambda connection: jobstore.hand_back(connection, claims))
    for id_ in ("a", "b"):
        job = get(database, id_)
        assert (job.status, job.lost_count, job.attempt, job.claimed_at) == (S.QUEUED, 0, 1, None)
        assert job.queued_at > EPOCH


def test_only_the_dead_owners_jobs_go_back(database: Database) -> None:
    add(database, "a", "b", "c")
    claim(database, "a", owner="host/boot/1")
    claim(database, "b", owner="host/boot/2")
    lost = database.write(lambda connection: jobstore.requeue_owned_by(connection, "host/boot/1"))
    assert [(job.id, job.status, job.lost_count) for job in lost] == [("a", S.QUEUED, 1)]
    assert statuses(database, ["a", "b", "c"]) == {"a": "queued", "b": "running", "c": "queued"}


def test_owners_are_found_by_the_exact_beginning_of_their_name(database: Database) -> None:
    add(database, "a", "b", "c", "d")
    for id_, owner in {"a": "host/b_t/1", "b": "host/boot/2", "c": "host/b_t/3", "d": "host/b%t/4"}.items():
        claim(database, id_, owner=owner)
    succeed(database, *claim(database, "c"))
    found = database.read(lambda connection: jobqueries.running_owners(connection, "host/b_t/"))
    assert sorted(found) == ["host/b_t/1", "host/b_t/3"]
    assert database.read(lambda connection: jobqueries.running_owners(connection, "host/b%t/")) == ["host/b%t/4"]


def test_a_lease_that_ran_out_loses_its_job_and_others_do_not(database: Database) -> None:
    add(database, "a", "b", "c")
    claim(database, "a", lease_seconds=10)
    claim(database, "b", lease_seconds=100)
    now = database.read(jobqueries.now)
    assert database.write(lambda connection: jobstore.requeue_lapsed(connection, now)) == []
    later = now + timedelta(seconds=50)
    lost = database.write(lambda connection: jobstore.requeue_lapsed(connection, later))
    assert [(job.id, job.status, job.lost_count) for job in lost] == [("a", S.QUEUED, 1)]
    assert statuses(database, ["a", "b", "c"]) == {"a": "queued", "b": "running", "c": "queued"}


def test_a_renewed_lease_holds_longer_for_its_owner_only(database: Database) -> None:
    add(database, "a", "b")
    mine, others = claim(database, "a", owner="me", lease_seconds=5), claim(database, "b", owner="you", lease_seconds=5)
    database.write(lambda connection: jobstore.renew(connection, [*mine, *others], "me", 500))
    later = database.read(jobqueries.now) + timedelta(seconds=60)
    lost = database.write(lambda connection: jobstore.requeue_lapsed(connection, later))
    assert [job.id for job in lost] == ["b"]


def test_a_job_that_killed_too_many_workers_fails_with_the_reason(database: Database) -> None:
    add(database, "a")
    (last,) = lose(database, "a", MAX_LOST)
    assert (last.status, last.lost_count) == (S.FAILED, MAX_LOST)
    job = get(database, "a")
    assert job == last
    assert (job.error_code, job.error_detail) == (WorkerLost.code, WorkerLost.title())
    assert job.finished_at is not None


def test_a_suspect_is_claimed_alone_and_not_with_others(database: Database) -> None:
    add(database, "a", "b")
    lose(database, "a", 1)
    assert [one.id for one in claim(database, "a", "b")] == ["b"]
    assert [one.id for one in claim(database, "a")] == ["a"]


@pytest.mark.parametrize("before", ["queued", "running"])
def test_a_job_that_has_not_ended_can_be_canceled_once(before: str, database: Database) -> None:
    add(database, "a")
    if before == "running":
        claim(database, "a")
    assert _cancel(database, "a")
    assert not _cancel(database, "a")
    assert get(database, "a").finished_at is not None
    assert claim(database, "a") == []


def test_what_has_ended_or_does_not_exist_cannot_be_canceled(database: Database) -> None:
    add(database, "a", "b")
    succeed(database, *claim(database, "a"))
    _fail(database, "b")
    assert [_cancel(database, id_) for id_ in ("a", "b", "unknown")] == [False] * 3


def test_a_retry_is_a_fresh_run_with_the_old_fencing_number(database: Database) -> None:
    add(database, "a")
    lose(database, "a", MAX_LOST)
    before = get(database, "a")
    assert _retry(database, "a")
    job = get(database, "a")
    assert (job.status, job.run, job.lost_count, job.attempt) == (S.QUEUED, 2, 0, before.attempt)
    assert (job.error_code, job.error_detail, job.finished_at, job.claimed_at) == (None,) * 4
    assert job.version == before.version + 1
    assert not _retry(database, "a")


def test_only_failed_and_canceled_jobs_can_be_run_again(database: Database) -> None:
    add(database, "queued", "running", "done", "erased")
    claim(database, "running")
    succeed(database, *claim(database, "done"))
    _erase(database, "erased")
    assert [_retry(database, id_) for id_ in ("queued", "running", "done", "erased", "unknown")] == [False] * 5
