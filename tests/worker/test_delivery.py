"""Webhooks are signed, delivered, and tried again for days."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from standardwebhooks import WebhookVerificationError

from shared import endpointstore, outbox
from shared.database import Database
from shared.hooks import SCHEDULE_SECONDS, DeliveryState, new_secret
from tests.receiver import Answer, Receiver, answer, drop, redirect
from tests.worker.couriers import Courier, end_a_job, log_of, only, register, secret_of, verified


def test_what_arrives_is_what_the_official_library_verifies(database: Database, receiver: Receiver) -> None:
    end_a_job(database, url=receiver.url)
    assert Courier(database).deliver() == 1
    (request,) = receiver.requests
    told = verified(request, secret_of(database))
    assert request.headers["webhook-id"] == "a-3"
    assert request.headers["content-type"] == "application/json"
    assert (told["type"], told["data"]["id"], told["data"]["status"]) == ("job.succeeded", "a", "succeeded")
    assert told["data"]["result"]["predicted_class"] == "rust"
    assert datetime.fromisoformat(told["timestamp"]).tzinfo is not None
    with pytest.raises(WebhookVerificationError):
        verified(request, new_secret())
    delivery = only(database)
    assert (delivery.state, delivery.next_attempt_at) == (DeliveryState.SUCCEEDED, None)
    assert [(one.status, one.error) for one in delivery.attempts] == [(200, None)]


def test_every_address_is_signed_with_a_secret_of_its_own(database: Database, receiver: Receiver) -> None:
    endpoint = register(database, receiver.url)
    end_a_job(database, url=receiver.url)
    assert Courier(database).deliver() == 2
    secrets = {secret_of(database), secret_of(database, endpoint)}
    assert len(secrets) == 2
    signed = []
    for request in receiver.requests:
        assert request.headers["webhook-id"] == "a-3"
        for secret in secrets:
            try:
                verified(request, secret)
            except WebhookVerificationError:
                continue
            signed.append(secret)
    assert sorted(signed) == sorted(secrets)


def test_while_a_secret_is_replaced_both_sign(database: Database, receiver: Receiver) -> None:
    endpoint = register(database, receiver.url)
    old, new = endpoint.secret, new_secret()
    database.write(lambda it: endpointstore.rotate(it, endpoint.id, new, overlap_seconds=3600))
    courier = Courier(database)
    end_a_job(database, "a")
    courier.deliver()
    end_a_job(database, "b")
    courier.deliver_at(courier.now + timedelta(hours=2))
    during, after = receiver.requests
    assert verified(during, old) == verified(during, new)
    assert len(after.headers["webhook-signature"].split()) == 1
    with pytest.raises(WebhookVerificationError, match=r"too new|signature"):
        verified(after, old)


@pytest.mark.parametrize("failure", [answer(500), answer(404), redirect("http://127.0.0.1:1/"), drop()])
def test_a_delivery_in_vain_is_tried_ten_times_within_76_hours(
    database: Database, receiver: Receiver, failure: Answer
) -> None:
    receiver.answer_with(failure)
    end_a_job(database, url=receiver.url)
    courier = Courier(database)
    begun = courier.now
    moments = []
    while (due := only(database).next_attempt_at) is not None:
        courier.now = due - timedelta(milliseconds=1)
        assert not moments or courier.deliver_at(courier.now) == 0, "earlier than planned"
        assert courier.deliver_at(max(due, begun)) == 1
        moments.append(courier.now)
    assert len(moments) == len(receiver.requests) == len(SCHEDULE_SECONDS) == 10
    pauses = [(after - before).total_seconds() for before, after in pairwise(moments)]
    for pause, planned in zip(pauses, SCHEDULE_SECONDS[1:], strict=True):
        assert planned <= pause <= planned + min(60, planned / 10)
    assert timedelta(hours=75, minutes=35) < moments[-1] - moments[0] < timedelta(hours=76)
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert len({request.body for request in receiver.requests}) == 1
    told = [int(request.headers["webhook-timestamp"]) for request in receiver.requests]
    assert told == [int(moment.timestamp()) for moment in moments]
    delivery = only(database)
    assert delivery.state is DeliveryState.FAILED
    assert [one.at for one in delivery.attempts] == moments
    assert all(one.error for one in delivery.attempts)
    assert courier.deliver_at(courier.now + timedelta(days=30)) == 0
    assert courier.counted == ["retried"] * 9 + ["failed"]


def test_pauses_differ_from_delivery_to_delivery(database: Database, receiver: Receiver) -> None:
    receiver.answer_with(answer(500))
    for number in range(5):
        end_a_job(database, f"job-{number}", url=receiver.url)
    courier = Courier(database)
    courier.deliver()
    pauses = {one.next_attempt_at - one.attempts[0].at for one in log_of(database) if one.next_attempt_at}
    assert len({round(pause.total_seconds(), 3) for pause in pauses}) > 1


def test_after_a_success_nothing_more_is_sent(database: Database, receiver: Receiver) -> None:
    receiver.answer_with(answer(500), answer(503), answer(204))
    end_a_job(database, url=receiver.url)
    courier = Courier(database)
    while due := only(database).next_attempt_at:
        courier.deliver_at(max(due, courier.now))
    assert [one.status for one in only(database).attempts] == [500, 503, 204]
    assert courier.deliver_at(courier.now + timedelta(days=4)) == 0
    assert courier.counted == ["retried", "retried", "delivered"]


@pytest.mark.parametrize(
    ("status", "asked", "least_seconds"),
    [(429, "3600", 3600), (503, "120", 120), (503, "1", 5), (500, "3600", 5), (429, "99999999", 86_400)],
)
def test_a_receiver_that_names_a_time_is_asked_no_earlier(
    database: Database, receiver: Receiver, status: int, asked: str, least_seconds: float
) -> None:
    receiver.answer_with(answer(status, headers={"Retry-After": asked}))
    end_a_job(database, url=receiver.url)
    courier = Courier(database)
    courier.deliver()
    delivery = only(database)
    assert delivery.next_attempt_at is not None
    waits = (delivery.next_attempt_at - courier.now).total_seconds()
    assert least_seconds <= waits <= least_seconds + 60


def test_what_is_sent_again_has_all_attempts_before_it(database: Database, receiver: Receiver) -> None:
    end_a_job(database, url=receiver.url)
    courier = Courier(database)
    courier.deliver()
    receiver.answer_with(answer(500), answer(200))
    assert database.write(lambda it: outbox.send_again(it, [only(database).id])) == 1
    courier.deliver()
    due = only(database).next_attempt_at
    assert due is not None
    assert due - courier.now < timedelta(seconds=6)
    courier.deliver_at(due)
    assert [one.status for one in only(database).attempts] == [200, 500, 200]
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
