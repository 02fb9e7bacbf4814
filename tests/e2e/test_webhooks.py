"""Webhooks of the whole service: signed for their receiver, and sent again when their courier is killed."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from standardwebhooks import Webhook

from tests.conftest import ON_EVERY_DATABASE, StackFactory
from tests.photos import jpeg
from tests.receiver import Receiver, answer, hang
from tests.stack import Stack
from tests.waiting import wait_for

_HELD_SECONDS = 60  # above what a dead courier's deliveries are held for


@contextmanager
def nothing_can_be_noted(stack: Stack) -> Iterator[None]:
    """Meanwhile nobody else writes to the deliveries."""
    database = stack.database()
    with database.engine.connect().execution_options(turno_write=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("LOCK TABLE deliveries IN EXCLUSIVE MODE"))
        yield
    database.close()


@ON_EVERY_DATABASE
def test_a_courier_that_is_killed_loses_no_webhook(make_stack: StackFactory) -> None:
    stack = make_stack(WEBHOOK_ALLOW_NETWORKS="127.0.0.0/8").start()
    with Receiver() as receiver:

        def submit() -> str:
            fields = {"webhook_url": receiver.url, "metadata": '{"plot": "7b"}'}
            sent = stack.client.post("/v1/jobs", files={"file": ("leaf.jpg", jpeg())}, data=fields)
            assert sent.status_code == 202, sent.text
            return str(sent.json()["id"])

        receiver.answer_with(answer(204, after_seconds=2), hang())
        answered = submit()
        receiver.wait_for(1)
        with nothing_can_be_noted(stack):
            wait_for(lambda: receiver.open_connections == 0, "the courier to have its answer")
            stack.kill("courier")
        stack.start("courier")
        unanswered = submit()
        receiver.wait_for(2)
        stack.kill("courier")
        meanwhile = submit()
        stack.ended(meanwhile)
        receiver.answer_with(answer(204))
        stack.start("courier")
        requests = receiver.wait_for(5, _HELD_SECONDS)
        secret = stack.client.get("/v1/webhooks/default/secret").json()["secret"]
        told: list[dict[str, Any]] = [Webhook(secret).verify(request.body, request.headers) for request in requests]
        assert Counter(one["data"]["id"] for one in told) == {answered: 2, unanswered: 2, meanwhile: 1}
        assert len({request.headers["webhook-id"] for request in requests}) == 3
        assert len({request.body for request in requests}) == 3
        for one in told:
            ticket = stack.client.get(f"/v1/jobs/{one['data']['id']}").json()
            assert one["data"]["result"] == ticket["result"]
            assert one["data"]["metadata"] == {"plot": "7b"}
        for job in (answered, unanswered, meanwhile):

            def statuses(job: str = job) -> list[int]:
                (delivery,) = stack.client.get(f"/v1/jobs/{job}/deliveries").json()["deliveries"]
                return [attempt["status"] for attempt in delivery["attempts"]]

            wait_for(lambda job=job: statuses(job) == [204], "the attempt to be noted")  # type: ignore[misc]
    lines = stack.log("courier")
    assert "webhook delivered" in lines
    assert receiver.url not in lines
    assert secret not in lines
