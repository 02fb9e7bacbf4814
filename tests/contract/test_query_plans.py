"""What requests, workers and couriers ask reads little, however many jobs and deliveries there are and wait."""

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, product
from typing import Any

import pytest
import sqlalchemy as sa

from shared import batchstore, endpointstore, jobqueries, jobstore, outbox, telling
from shared.database import Database
from shared.hooks import Attempt, DeliveryState, Event
from shared.jobqueries import Selection
from shared.jobs import Batch, JobStatus, Outcome
from shared.outbox import DeliveryFilter, Message
from shared.tables import deliveries, jobs
from tests.contract.plans import ENDED, PENDING, QUEUED, RUNNING, START, STEP, fill, job_id, watched
from tests.postgres import fresh_database, run_outside_transactions
from tests.shared.make import RESULT, new_job

_MODES = {
    "sqlite": (),
    "sqlite, analyzed": (),
    "postgres": ("SET plan_cache_mode = force_custom_plan",),
    "postgres, prepared": ("SET plan_cache_mode = force_generic_plan",),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLY, _THEN, _LATER = (
    _EPOCH + timedelta(microseconds=START + number * STEP) for number in (-1, ENDED // 2, ENDED + QUEUED)
)
_WAITING = [job_id(ENDED + RUNNING + number) for number in range(16)]
_OLD = [job_id(number) for number in range(16)]
_OWNER = "host/boot/1"
_CALLER = "key-3"
_DEAD = [f"key-{number} https://dead.example" for number in range(10)]
Work = Callable[[sa.Connection], Any]


def _lists() -> Iterator[tuple[str, Work]]:
    statuses = (None, JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.SUCCEEDED, JobStatus.FAILED)
    times: tuple[dict[str, Any], ...] = (
        {},
        {"created_before": _THEN},
        {"created_after": _THEN, "created_before": _LATER},
    )
    every = product((None, _CALLER), statuses, (None, "former", "rare"), times, (None, job_id(ENDED // 2)))
    # a fifth of the 180: nearly every value of a filter meets every value of each other
    for caller, status, model, moments, cursor in islice(every, 0, None, 5):
        chosen = Selection(caller, status, model, **moments)
        yield f"list {chosen} {cursor}", lambda it, c=chosen, b=cursor: jobqueries.page(it, c, b, 51)  # type: ignore[misc]
    yield "list of a batch", lambda it: jobqueries.page(it, Selection(batch_id="b9"), None, 51)


def _deliveries() -> Iterator[tuple[str, Work]]:
    filters: tuple[dict[str, str], ...] = (
        {}, {"caller": _CALLER}, {"endpoint_id": "e3"}, {"endpoint_id": "e3", "caller": _CALLER}, {"job_id": "j1"},
        {"batch_id": "b1"},
    )  # fmt: skip
    for which, state, cursor in product(filters, (None, *DeliveryState), (None, job_id(PENDING // 2))):
        chosen = DeliveryFilter(state=state, **which)  # type: ignore[arg-type]
        yield f"log {chosen} {cursor}", lambda it, c=chosen, b=cursor: outbox.page(it, c, b, 51)  # type: ignore[misc]
    for without in (([], []), (_DEAD, []), (_DEAD[:1], [f"key-{number}" for number in range(10)])):
        yield f"due {without}", lambda it, w=without: outbox.due(it, _LATER, w, 100)  # type: ignore[misc]


def _ways(it: sa.Connection) -> None:
    """A batch and a single job from their arrival to their end and erasure, with all that is asked on the way."""
    batch = Batch("b" * 32, _CALLER, _LATER, 2, [], idempotency_key="key")
    ids = [job_id(ENDED + QUEUED + number) for number in range(3)]
    hooks = {"webhook_url": "https://own.example/", "webhook_events": "job.started,job.succeeded,job.canceled"}
    endpoint = endpointstore.add(it, _CALLER, "https://b.example/", list(Event), "secret")
    arrivals = [new_job(id_, caller=_CALLER, batch_id=batch.id, batch_index=at) for at, id_ in enumerate(ids[:2])]
    assert batchstore.add(it, batch, arrivals)
    jobstore.add(it, [new_job(ids[2], client_id="own", idempotency_key="key", **hooks)])
    jobqueries.first_with(it, "key-a", client_id="no", idempotency_key="key")
    batchstore.first_with(it, _CALLER, "key")
    claims = jobstore.claim(it, [*ids, *_WAITING], _OWNER, 30)
    assert len(claims) == 19
    jobstore.renew(it, claims, _OWNER, 30)
    jobstore.hand_back(it, claims[2:4])
    jobstore.claim(it, ids[2:3], _OWNER, 30)
    assert jobstore.cancel(it, ids[2])
    assert jobstore.retry(it, ids[2])
    assert jobstore.finish(it, [Outcome(one, RESULT) for one in claims])
    jobqueries.get(it, ids)
    jobqueries.versions(it, ids)
    jobqueries.without_image(it, ids)
    for look in (batchstore.get, batchstore.files, batchstore.members, batchstore.cancel, batchstore.erase):
        look(it, batch.id)
    jobstore.erase(it, _OLD)
    jobstore.forget_images(it, _OLD)
    endpointstore.disable(it, endpoint.id, "for a test")


def _attempts(it: sa.Connection) -> None:
    """A delivery from when it is written to its last attempt, and again."""
    (made,) = outbox.add(it, [Message(outbox.ping_id(), Event.PING, _CALLER, "e3", "https://c.example/", "{}")])
    now = jobqueries.now(it)
    (taken, *_) = outbox.take(it, [made], now, now)
    endpointstore.signer(it, None, _CALLER)
    endpointstore.signer(it, "e3", _CALLER)
    outbox.record(it, taken, Attempt(now, 1, 204), None)
    outbox.send_again(it, [made])
    outbox.give_up(it, made, "for a test")
    outbox.get(it, made)
    outbox.require(it, made)


def _webhooks(it: sa.Connection) -> None:
    endpointstore.default_of(it, _CALLER)
    endpointstore.hold(it, _CALLER)
    endpointstore.live_of(it, [_CALLER])
    endpointstore.of_caller(it, _CALLER)
    endpointstore.enable(it, "e3")
    endpointstore.rotate(it, "e3", "secret", 60)
    endpointstore.get(it, "e3")
    endpointstore.remove(it, "e3")


STATEMENTS: dict[str, Work] = {
    **dict(_lists()), **dict(_deliveries()), "ways": _ways, "attempts": _attempts, "webhooks": _webhooks,
    "cancel_all": lambda it: jobstore.cancel_all(it, _WAITING),
    "forget": lambda it: outbox.forget(it, deliveries.c.job_id.in_(["j1", "j2"])),
    "telling": lambda it: telling.tell(it, _OLD),
    "queued_page": lambda it: jobqueries.queued_page(it, _WAITING[0], 1000),
    "unserved_ids": lambda it: jobqueries.unserved_ids(it, ["leaf"], _LATER, 10),
    "longest_wait_seconds": lambda it: jobqueries.longest_wait_seconds(it, "leaf"),
    "queued_count": lambda it: jobqueries.queued_count(it, 100),
    "running_owners": lambda it: jobqueries.running_owners(it, "host/boot/"),
    "requeue_owned_by": lambda it: jobstore.requeue_owned_by(it, _OWNER),
    "requeue_lapsed": lambda it: jobstore.requeue_lapsed(it, _LATER),
    "expire": jobstore.expire,
    "expired_ids": lambda it: jobqueries.expired_ids(it, _LATER, 200, lock=True),
    "expired_ids, none": lambda it: jobqueries.expired_ids(it, _EARLY, 200),
    "fleeting_ids": lambda it: jobqueries.fleeting_ids(it, _LATER, 200),
    "leftover_image_ids": lambda it: jobqueries.leftover_image_ids(it, "", 200),
    "spend_images": lambda it: jobstore.spend_images(it, 200),
    "forget_keys": lambda it: (jobstore.forget_keys(it, _LATER), batchstore.forget_keys(it, _LATER)),
    "forget_keys, none": lambda it: (jobstore.forget_keys(it, _EARLY), batchstore.forget_keys(it, _EARLY)),
    "erase_emptied": lambda it: batchstore.erase_emptied(it, _LATER, batchstore.erase_emptied(it, _LATER)),
    "purge": lambda it: outbox.purge(it, _LATER),
    "purge, none": lambda it: outbox.purge(it, _EARLY),
    "late_seconds": outbox.late_seconds,
    "in_range": lambda it: outbox.in_range(it, "e3", _EARLY, _LATER, None, ""),
    "abandon": lambda it: jobstore.abandon(it, ["leaf"], _LATER),
    "in_range, failed": lambda it: outbox.in_range(it, "e3", _EARLY, _LATER, DeliveryState.FAILED, ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def _filled_postgres(postgres_url: str) -> Iterator[Database]:
    with fresh_database(postgres_url) as url:
        database = fill(url)
        yield database
        database.close()


@pytest.fixture(scope="module", params=_MODES)
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Database]]:
    """Each database as it plans with, and without, knowledge of what is in it."""
    if request.param.startswith("postgres"):
        yield request.param, request.getfixturevalue("_filled_postgres")
        return
    url = f"sqlite:///{tmp_path_factory.mktemp('plans') / 'turno.sqlite'}"
    database = fill(url)
    if "analyzed" in request.param:
        run_outside_transactions(url, "ANALYZE")
    yield request.param, database
    database.close()


class _Undo(Exception):
    """Takes the statements' changes back."""


def _read(database: Database, mode: str, works: dict[str, Work]) -> list[str]:
    """What reads too much, and in which of these works."""
    found = []
    with watched(database, _MODES[mode]) as seen:
        for name, work in works.items():
            begun = len(seen)

            def run(connection: sa.Connection, work: Work = work) -> None:
                work(connection)
                raise _Undo

            with pytest.raises(_Undo):
                database.write(run)
            assert len(seen) > begun, name
            found += [f"{name}: {one.too_much}: {one.statement}" for one in seen[begun:] if one.too_much]
    return found


def test_no_statement_reads_more_than_its_page(filled: tuple[str, Database]) -> None:
    mode, database = filled
    assert _read(database, mode, STATEMENTS) == []


def test_a_walk_of_the_table_or_of_an_index_is_seen_to_read_too_much(filled: tuple[str, Database]) -> None:
    mode, database = filled
    walks: dict[str, Work] = {
        "table": lambda it: it.execute(sa.select(jobs.c.id).where(jobs.c.filename == "a")).all(),
        "key": lambda it: it.execute(sa.select(jobs.c.id).where(jobs.c.filename == "a").order_by(jobs.c.id)).all(),
        "index": lambda it: it.execute(sa.select(jobs.c.id).where(jobs.c.finished_at.is_(None))).all(),
    }
    assert {found.partition(":")[0] for found in _read(database, mode, walks)} == walks.keys()


def test_every_function_that_asks_the_tables_is_among_the_statements() -> None:
    asking = {
        f"{module.__name__.removeprefix('shared.')}.{name}"
        for module in (jobqueries, jobstore, batchstore, outbox, endpointstore, telling)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        if not name.startswith("_") and "connection" in inspect.signature(function).parameters
    }
    named = {ast.unparse(node) for node in ast.walk(ast.parse(inspect.getsource(sys.modules[__name__])))}
    assert not asking - named
