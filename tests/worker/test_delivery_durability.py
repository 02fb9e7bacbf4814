"""What couriers do at once, and what is done to a delivery on its way, loses nothing and sends nothing twice.

On every database: what this rests on differs between them.
"""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from shared import endpointstore, jobqueries, outbox
from shared.database import Database
from shared.hooks import DeliveryState
from tests.receiver import Receiver, answer, hang
from tests.waiting import wait_for
from tests.worker.couriers import Courier, end_a_job, log_of, only, post, register

FAILED, PENDING, SUCCEEDED = DeliveryState.FAILED, DeliveryState.PENDING, DeliveryState.SUCCEEDED


def _meanwhile(courier: Courier, receiver: Receiver, act: Any) -> None:
    """Acts while what is due is on its way and has been received."""

    async def run() -> None:
        count = len(receiver.requests) + await courier.deliveries.start_due()
        await asyncio.to_thread(receiver.wait_for, count)
        await asyncio.to_thread(act)
        await courier.deliveries.finish()

    asyncio.run(run())


def test_a_webhook_that_is_gone_with_ten_on_their_way_ends_without_a_deadlock(
    every_database: Database, receiver: Receiver
) -> None:
    database, faults = every_database, []
    sa.event.listen(database.engine, "handle_error", lambda context: faults.append(context.original_exception))
    with Receiver() as dead, capture_logs() as said:
        endpoint = register(database, dead.url)
        courier = Courier(database)
        post(database, [dead.url] * 15, endpoint)
        courier.deliver()  # it answers: it may have ten at a time
        dead.answer_with(answer(410, after_seconds=0.3))
        ids = post(database, [dead.url] * 100, endpoint)
        (healthy,) = post(database, [receiver.url], caller="key-b")
        courier.now = database.read(jobqueries.now)
        assert courier.rounds(1) == [11]
        courier.deliver()
    assert faults == []
    assert [one["event"] for one in said if one["event"] not in ("webhook delivered", "webhook failed")] == []
    by_id = {one.id: one for one in log_of(database, endpoint_id=endpoint.id)}
    gone = [by_id[id_] for id_ in ids]
    assert {(one.state, one.tries) for one in gone if one.attempts} == {(FAILED, 1)}
    assert [[one.status for one in tried.attempts] for tried in gone if tried.attempts] == [[410]] * 10
    assert len(dead.requests) == 15 + 10
    assert {(one.state, one.given_up_because) for one in gone if not one.attempts} == {(FAILED, endpointstore.GONE)}
    found = database.read(lambda it: endpointstore.get(it, endpoint.id))
    assert found
    assert found.disabled_because == endpointstore.GONE
    assert [one.id for one in log_of(database, caller="key-b", state=SUCCEEDED)] == [healthy]
    end_a_job(database, "later")
    assert log_of(database, job_id="later") == []


def test_what_a_dead_courier_had_on_its_way_is_sent_again_under_the_same_id(
    every_database: Database, receiver: Receiver
) -> None:
    receiver.answer_with(hang())
    end_a_job(every_database, url=receiver.url)
    dead, heir = Courier(every_database), Courier(every_database)

    async def die() -> None:
        await dead.deliveries.start_due()
        await asyncio.to_thread(receiver.wait_for, 1)  # and what was answered is never noted

    asyncio.run(die())
    receiver.answer_with(answer(200))
    assert heir.deliver() == 0, "held, as long as its courier may live"
    assert heir.deliver_at(only(every_database).next_attempt_at) == 1
    assert [request.headers["webhook-id"] for request in receiver.requests] == ["a-3", "a-3"]
    assert only(every_database).state is SUCCEEDED


def test_a_courier_that_comes_back_too_late_adds_what_it_tried_and_undoes_nothing(
    every_database: Database, receiver: Receiver
) -> None:
    receiver.answer_with(answer(500, after_seconds=1), answer(503))
    end_a_job(every_database, url=receiver.url)
    slow, quick = Courier(every_database), Courier(every_database)
    noted: list[Any] = []

    def overtake() -> None:
        quick.deliver_at(quick.now + timedelta(minutes=1))
        noted.append(only(every_database))

    _meanwhile(slow, receiver, overtake)
    after = only(every_database)
    assert [one.status for one in noted[0].attempts] == [503]
    assert [one.status for one in after.attempts] == [500, 503]
    assert (after.state, after.tries, after.next_attempt_at) == (PENDING, 1, noted[0].next_attempt_at)


def test_two_couriers_send_each_of_two_hundred_deliveries_once(every_database: Database) -> None:
    couriers = [Courier(every_database), Courier(every_database)]
    with Receiver("0.0.0.0") as receiver, couriers[0].running(), couriers[1].running():
        ids = post(every_database, [receiver.url.replace("0.0.0.0", f"127.0.0.{at % 4 + 1}") for at in range(200)])
        wait_for(lambda: {one.state for one in log_of(every_database)} == {SUCCEEDED}, "all to be sent")
        sent = sorted(request.headers["webhook-id"] for request in receiver.requests)
    assert sent == sorted(f"m-{number}" for number in range(200))
    tried = [(one.id, [made.status for made in one.attempts]) for one in log_of(every_database)]
    assert tried == [(id_, [200]) for id_ in ids]
    assert min(len(one.counted) for one in couriers) > 10


@pytest.mark.parametrize("end", [endpointstore.remove, partial(endpointstore.disable, because="no more")])
def test_what_arrives_while_its_webhook_ends_is_noted_as_delivered(
    end: Any, every_database: Database, receiver: Receiver
) -> None:
    receiver.answer_with(answer(200, after_seconds=0.5))
    endpoint = register(every_database, receiver.url)
    end_a_job(every_database)
    courier = Courier(every_database)
    _meanwhile(courier, receiver, lambda: every_database.write(lambda it: end(it, endpoint.id)))
    one = only(every_database)
    assert (one.state, one.given_up_because, [made.status for made in one.attempts]) == (SUCCEEDED, None, [200])
    assert courier.counted == ["delivered"]


@pytest.mark.parametrize("end", [endpointstore.remove, partial(endpointstore.disable, because="no more")])
def test_what_failed_while_its_webhook_ended_is_given_up_when_its_time_comes(
    end: Any, every_database: Database, receiver: Receiver
) -> None:
    receiver.answer_with(answer(500, after_seconds=0.5))
    endpoint = register(every_database, receiver.url)
    end_a_job(every_database)
    courier = Courier(every_database)
    _meanwhile(courier, receiver, lambda: every_database.write(lambda it: end(it, endpoint.id)))
    assert only(every_database).state is PENDING
    courier.deliver_at(only(every_database).next_attempt_at)
    one = only(every_database)
    assert (one.state, [made.status for made in one.attempts]) == (FAILED, [500])
    assert one.given_up_because in ("no more", endpointstore.REMOVED)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [200, 500, 410])
def test_what_is_sent_again_while_it_is_on_its_way_has_both_attempts(
    status: int, every_database: Database, receiver: Receiver
) -> None:
    receiver.answer_with(answer(status, after_seconds=0.5), answer(204))
    end_a_job(every_database, url=receiver.url)
    courier = Courier(every_database)
    again = partial(outbox.send_again, ids=[only(every_database).id])
    _meanwhile(courier, receiver, lambda: every_database.write(again))
    assert (only(every_database).state, only(every_database).tries) == (PENDING, 0)
    courier.deliver()
    one = only(every_database)
    assert (one.state, one.tries, [made.status for made in one.attempts]) == (SUCCEEDED, 1, [status, 204])
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
