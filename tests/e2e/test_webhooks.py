"""Webhooks of the whole service: signed for their receiver, and sent again when their courier is killed."""

from collections import Counter
from typing import Any

from standardwebhooks import Webhook

from tests.conftest import StackFactory
from tests.photos import jpeg
from tests.receiver import Receiver, answer, hang

_HELD_SECONDS = 60  # above what a dead courier's deliveries are held for


def test_a_courier_that_is_killed_loses_no_webhook(make_stack: StackFactory) -> None:
    stack = make_stack(WEBHOOK_ALLOW_NETWORKS="127.0.0.0/8").start()
    with Receiver() as receiver:
        receiver.answer_with(hang())
        fields = {"webhook_url": receiver.url, "metadata": '{"plot": "7b"}'}

        def submit() -> str:
            sent = stack.client.post("/v1/jobs", files={"file": ("leaf.jpg", jpeg())}, data=fields)
            assert sent.status_code == 202, sent.text
            return str(sent.json()["id"])

        under_way = submit()
        receiver.wait_for(1)
        stack.kill("courier")  # it has sent, and noted nothing
        meanwhile = submit()
        stack.ended(meanwhile)
        receiver.answer_with(answer(204))
        stack.start("courier")
        requests = receiver.wait_for(3, _HELD_SECONDS)
        secret = stack.client.get("/v1/webhooks/default/secret").json()["secret"]
        told: list[dict[str, Any]] = [Webhook(secret).verify(request.body, request.headers) for request in requests]
        assert Counter(one["data"]["id"] for one in told) == {under_way: 2, meanwhile: 1}
        assert len({request.headers["webhook-id"] for request in requests}) == 2
        assert requests[0].body in [request.body for request in requests[1:]]
        for one in told:
            ticket = stack.client.get(f"/v1/jobs/{one['data']['id']}").json()
            assert one["data"]["result"] == ticket["result"]
            assert one["data"]["metadata"] == {"plot": "7b"}
        for job in (under_way, meanwhile):
            (delivery,) = stack.client.get(f"/v1/jobs/{job}/deliveries").json()["deliveries"]
            assert [attempt["status"] for attempt in delivery["attempts"]] == [204]
    lines = stack.log("courier")
    assert "webhook delivered" in lines
    assert receiver.url not in lines
