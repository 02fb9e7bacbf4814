"""Whatever a receiver or an owner does, webhooks end in good order."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from shared import endpointstore, jobstore, outbox
from shared.database import Database
from shared.hooks import DeliveryState, Event
from shared.jobs import Keep
from shared.outbox import Message
from tests.photos import jpeg
from tests.receiver import Receiver, answer, dripping_body
from tests.shared.make import claim, succeed
from tests.worker.bench import Bench
from tests.worker.couriers import CALLER, Courier, end_a_job, log_of, only, register, secret_of, verified
from worker.retention import Retention


def test_the_address_of_a_single_job_that_is_gone_is_not_tried_again(database: Database, receiver: Receiver) -> None:
    receiver.answer_with(answer(410), answer(200))
    for id_ in "ab":
        end_a_job(database, id_, url=receiver.url)
        Courier(database).deliver()
    assert [one.state for one in log_of(database)] == [DeliveryState.FAILED, DeliveryState.SUCCEEDED]


def test_of_an_erased_job_no_more_is_told_than_that(database: Database, receiver: Receiver) -> None:
    end_a_job(database, url=receiver.url)
    database.write(lambda connection: jobstore.erase(connection, ["a"]))
    Courier(database).deliver()
    told = verified(receiver.requests[0], secret_of(database))
    assert (told["type"], told["data"]) == ("job.succeeded", {"id": "a", "erased": True})


def test_of_a_job_of_which_nothing_is_kept_a_receiver_that_was_away_for_two_hours_hears_no_more_than_that(
    bench: Bench, receiver: Receiver
) -> None:
    bench.queue("a", jpeg(), keep=Keep.NOTHING, webhook_url=receiver.url, webhook_events="job.succeeded")
    succeed(bench.database, *claim(bench.database, "a"))
    receiver.answer_with(answer(503))
    courier = Courier(bench.database)
    begun = courier.now
    retention = Retention(bench.settings, bench.database, bench.images)
    while (due := only(bench.database).next_attempt_at) and due < begun + timedelta(hours=2):
        courier.deliver_at(max(due, courier.now))
        retention.erase(courier.now)
    assert due
    retention.erase(due)
    receiver.answer_with(answer(200))
    courier.deliver_at(due)
    *before, last = [json.loads(request.body)["data"] for request in receiver.requests]
    assert before[0]["result"]["predicted_class"] == "rust"
    assert last == {"id": "a", "erased": True}
    assert only(bench.database).state is DeliveryState.SUCCEEDED


@pytest.mark.parametrize("end", [endpointstore.remove, partial(endpointstore.disable, because="no more")])
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
