"""Sending again: one delivery, or what a webhook was told within a time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.hooks import delivery_of, log, look, payloads, register, tried
from tests.api.service import Service, assert_problem
from tests.photos import jpeg


@pytest.mark.parametrize("status", [204, 500])
def test_a_delivery_is_sent_again_under_its_id_with_its_attempts(status: int, hooked: Service) -> None:
    id_ = delivery_of(hooked)
    tried(hooked, id_, status)
    before = look(hooked, id_)
    said = payloads(hooked)[id_]
    answer = hooked.client.post(before["urls"]["redeliver"])
    again = answer.json()
    assert (answer.status_code, again["state"]) == (202, "pending")
    assert datetime.fromisoformat(again["next_attempt_at"]) <= datetime.now(UTC)
    assert [again[name] for name in ("id", "message_id", "attempts")] == [
        before[name] for name in ("id", "message_id", "attempts")
    ]
    assert payloads(hooked)[id_] == said
    tried(hooked, id_)
    looked = look(hooked, id_)
    assert looked["state"] == "succeeded"
    assert [one["status"] for one in looked["attempts"]] == [status, 204]


def test_what_was_erased_is_not_sent_again(hooked: Service) -> None:
    register(hooked)
    id_ = delivery_of(hooked, webhook_url="")
    tried(hooked, id_)
    job_id = look(hooked, id_)["job_id"]
    assert hooked.client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert_problem(hooked.client.post(f"/v1/deliveries/{id_}/redeliver"), 410, "job-erased")
    assert_problem(hooked.client.get(f"/v1/jobs/{job_id}/deliveries"), 410, "job-erased")
    assert look(hooked, id_)["state"] == "succeeded"


@pytest.mark.parametrize("end", ["disable", "remove"])
def test_nothing_is_sent_again_to_a_webhook_that_is_disabled_or_removed(end: str, hooked: Service) -> None:
    webhook = register(hooked)
    id_ = delivery_of(hooked, webhook_url="")
    tried(hooked, id_, 500)
    where = f"/v1/webhooks/{webhook['id']}"
    hooked.client.post(f"{where}/disable") if end == "disable" else hooked.client.delete(where)
    assert_problem(hooked.client.post(f"/v1/deliveries/{id_}/redeliver"), 409, "move-refused")
    assert look(hooked, id_)["state"] == "failed"
    if end == "disable":
        hooked.client.post(f"{where}/enable")
        again = hooked.client.post(f"/v1/deliveries/{id_}/redeliver").json()
        assert (again["state"], again["given_up_because"]) == ("pending", None)


def _range(service: Service, webhook: dict[str, Any], **said: Any) -> int:
    since = {"since": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}
    answer = service.client.post(f"/v1/webhooks/{webhook['id']}/redeliver", json={**since, **said})
    assert answer.status_code == 202, answer.text
    return int(answer.json()["deliveries"])


@pytest.mark.parametrize(
    ("state", "sent"),
    [
        (None, {"waiting", "succeeded", "failed"}),
        ("failed", {"failed"}),
        ("succeeded", {"succeeded"}),
        ("pending", {"waiting"}),
    ],
)
def test_a_range_sends_again_what_stands_so(state: str | None, sent: set[str], hooked: Service) -> None:
    webhook = register(hooked)
    ids = {name: delivery_of(hooked, webhook_url="") for name in ("waiting", "succeeded", "failed", "erased")}
    ping = hooked.client.post(f"/v1/webhooks/{webhook['id']}/ping").json()["id"]
    for name, status in (("succeeded", 200), ("failed", 500), ("erased", 500)):
        tried(hooked, ids[name], status)
    tried(hooked, ping, 500)
    hooked.client.delete(f"/v1/jobs/{look(hooked, ids['erased'])['job_id']}")
    assert _range(hooked, webhook, state=state) == len(sent)
    stand = {name: look(hooked, id_)["state"] for name, id_ in ids.items()}
    assert stand == {
        "waiting": "pending",
        "succeeded": "pending" if "succeeded" in sent else "succeeded",
        "failed": "pending" if "failed" in sent else "failed",
        "erased": "failed",
    }
    assert look(hooked, ping)["state"] == "failed"


def test_a_range_begins_and_ends_where_it_is_told_and_is_of_one_webhook(hooked: Service) -> None:
    webhook, other = register(hooked), register(hooked)
    for _ in range(3):
        hooked.answer(hooked.queued(jpeg()))
    for one in log(hooked):
        tried(hooked, one["id"])
    mine = log(hooked, f"/v1/deliveries?webhook={webhook['id']}")
    middle = datetime.fromisoformat(mine[1]["created_at"])
    after = (middle + timedelta(microseconds=1)).isoformat()
    assert _range(hooked, webhook, since=middle.isoformat(), until=after) == 1
    assert [one["state"] for one in log(hooked, f"/v1/deliveries?webhook={webhook['id']}")] == [
        "succeeded",
        "pending",
        "succeeded",
    ]
    assert _range(hooked, webhook, until=middle.isoformat()) == 1
    assert _range(hooked, webhook, since=after) == 1
    assert _range(hooked, webhook, state="succeeded") == 0
    assert {one["state"] for one in log(hooked, f"/v1/deliveries?webhook={other['id']}")} == {"succeeded"}
