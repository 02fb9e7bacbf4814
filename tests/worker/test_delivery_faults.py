"""Whatever a receiver, a courier or an owner does: webhooks end in good order, and no one waits for another."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared import endpointstore, jobstore, outbox
from shared.database import Database
from shared.hooks import DeliveryState, Event
from shared.outbox import Message
from tests.receiver import Receiver, answer, dripping_body, hang
from tests.waiting import wait_for
from tests.worker.couriers import CALLER, Courier, end_a_job, log_of, only, register, secret_of, verified


def test_a_webhook_that_is_gone_is_disabled_with_all_that_waits(database: Database, receiver: Receiver) -> None:
    receiver.answer_with(answer(500))
    endpoint = register(database, receiver.url)
    other = register(database, receiver.url.replace("hook", "other"))
    for id_ in "ab":
        end_a_job(database, id_)
    courier = Courier(database)
    courier.deliver()
    receiver.answer_with(answer(410))
    held = log_of(database, endpoint_id=endpoint.id)
    database.write(lambda it: outbox.give_up(it, outbox.deliveries.c.endpoint_id == other.id, "for now"))
    first = min(one.next_attempt_at for one in held if one.next_attempt_at)
    courier.deliver_at(first)
    assert [one.state for one in log_of(database, endpoint_id=endpoint.id)] == [DeliveryState.FAILED] * 2
    gone = database.read(lambda it: endpointstore.get(it, endpoint.id))
    assert gone is not None
    assert gone.disabled_at is not None
    assert gone.disabled_because == endpointstore.GONE
    end_a_job(database, "c")
    assert {one.endpoint_id for one in log_of(database, job_id="c")} == {other.id}


def test_the_address_of_a_single_job_that_is_gone_is_not_tried_again(database: Database, receiver: Receiver) -> None:
    receiver.answer_with(answer(410), answer(200))
    for id_ in "ab":
        end_a_job(database, id_, url=receiver.url)
        Courier(database).deliver()
    assert [one.state for one in log_of(database)] == [DeliveryState.FAILED, DeliveryState.SUCCEEDED]


def test_what_a_dead_courier_had_on_its_way_is_sent_again_under_the_same_id(
    database: Database, receiver: Receiver
) -> None:
    receiver.answer_with(hang())
    end_a_job(database, url=receiver.url)
    dead, heir = Courier(database), Courier(database)

    async def die() -> None:
        await dead.deliveries.start_due()
        await asyncio.to_thread(receiver.wait_for, 1)  # and what was answered is never noted

    asyncio.run(die())
    receiver.answer_with(answer(200))
    assert heir.deliver() == 0, "held, as long as its courier may live"
    assert heir.deliver_at(only(database).next_attempt_at) == 1
    assert [request.headers["webhook-id"] for request in receiver.requests] == ["a-3", "a-3"]
    assert only(database).state is DeliveryState.SUCCEEDED


def test_a_courier_that_comes_back_too_late_does_not_undo_what_another_noted(
    database: Database, receiver: Receiver
) -> None:
    receiver.answer_with(answer(500, after_seconds=1), answer(503))
    end_a_job(database, url=receiver.url)
    slow, quick = Courier(database), Courier(database)

    async def both() -> None:
        await slow.deliveries.start_due()
        await asyncio.to_thread(receiver.wait_for, 1)
        quick.now += timedelta(minutes=1)
        await quick.deliveries.start_due()
        await quick.deliveries.finish()
        await slow.deliveries.finish()

    asyncio.run(both())
    assert [one.status for one in only(database).attempts] == [503]
    assert only(database).tries == 1


def test_a_server_that_hangs_does_not_keep_others_waiting(database: Database, receiver: Receiver) -> None:
    with Receiver() as dead:
        dead.answer_with(hang())
        body = json.dumps({})
        messages = [Message(f"m-{number}", Event.PING, CALLER, None, dead.url, body) for number in range(1000)]
        database.write(lambda connection: outbox.add(connection, messages))
        end_a_job(database, url=receiver.url)
        courier = Courier(database)

        async def run() -> None:
            while not receiver.requests:
                await courier.deliveries.start_due()
                await asyncio.sleep(0.02)
            assert dead.connections <= 10
            await asyncio.to_thread(
                wait_for, lambda: log_of(database, job_id="a")[0].state is DeliveryState.SUCCEEDED, "the note"
            )

        asyncio.run(asyncio.wait_for(run(), 20))
        assert len(dead.requests) <= 10


def test_somebody_with_many_servers_that_hang_leaves_room_for_others(database: Database, receiver: Receiver) -> None:
    with Receiver("0.0.0.0") as dead:
        dead.answer_with(hang())
        urls = [dead.url.replace("0.0.0.0", f"127.0.1.{number}") for number in range(1, 80)]
        messages = [Message(f"m-{at}", Event.PING, "crowd", None, url, "{}") for at, url in enumerate(urls * 4)]
        database.write(lambda connection: outbox.add(connection, messages))
        end_a_job(database, url=receiver.url)
        courier = Courier(database)

        async def run() -> None:
            while not receiver.requests:
                await courier.deliveries.start_due()
                await asyncio.sleep(0.02)

        asyncio.run(asyncio.wait_for(run(), 20))
        assert 10 < dead.connections <= 50


def test_of_an_erased_job_no_more_is_told_than_that(database: Database, receiver: Receiver) -> None:
    end_a_job(database, url=receiver.url)
    database.write(lambda connection: jobstore.erase(connection, ["a"]))
    Courier(database).deliver()
    told = verified(receiver.requests[0], secret_of(database))
    assert (told["type"], told["data"]) == ("job.succeeded", {"id": "a", "erased": True})


@pytest.mark.parametrize("end", [endpointstore.remove, lambda it, id_: endpointstore.disable(it, id_, "no more")])
def test_what_is_written_while_its_webhook_ends_is_given_up(database: Database, receiver: Receiver, end: Any) -> None:
    endpoint = register(database, receiver.url)
    database.write(lambda connection: end(connection, endpoint.id))
    late = Message("late-1", Event.JOB_FAILED, CALLER, endpoint.id, receiver.url, "{}")
    database.write(lambda connection: outbox.add(connection, [late]))
    Courier(database).deliver()
    assert receiver.connections == 0
    delivery = only(database)
    assert delivery.state is DeliveryState.FAILED
    assert delivery.given_up_because


def test_a_ping_is_sent_once(database: Database, receiver: Receiver) -> None:
    receiver.answer_with(answer(500))
    endpoint = register(database, receiver.url)
    ping = Message(outbox.ping_id(), Event.PING, CALLER, endpoint.id, receiver.url, "{}")
    database.write(lambda connection: outbox.add(connection, [ping]))
    Courier(database).deliver()
    assert (only(database).state, only(database).tries) == (DeliveryState.FAILED, 1)


def test_a_dripping_receiver_is_left_in_time(database: Database, receiver: Receiver) -> None:
    receiver.answer_with(dripping_body())
    end_a_job(database, url=receiver.url)
    Courier(database, most_seconds=0.5).deliver()
    (attempt,) = only(database).attempts
    assert attempt.error
    assert attempt.at <= datetime.now(UTC) + timedelta(seconds=1)
