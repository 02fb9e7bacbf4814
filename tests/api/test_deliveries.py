"""The log of deliveries: whole, in pages, for its owner's eyes; and what is in it is sent again at a word."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.jobs import Scope
from tests.api.hooks import URL, log, payloads, queued, register, told, tried
from tests.api.service import Service, assert_problem
from tests.photos import jpeg
from tests.shared.keys import make_key

_NOBODY = 32 * "1"


def _pages(service: Service, path: str, between: Any = lambda: None) -> list[list[str]]:
    pages = []
    following: str | None = path
    while following:
        answer = service.client.get(following)
        assert answer.status_code == 200, answer.text
        pages.append([one["id"] for one in answer.json()["deliveries"]])
        following = answer.json()["next"]
        assert answer.headers.get("Link", "") == (f'<{following}>; rel="next"' if following else "")
        between()
    return pages


def _delivery(service: Service, **fields: str) -> str:
    """The id of one that is due."""
    job_id = queued(service, **fields)
    service.answer(job_id)
    (found,) = log(service, f"/v1/jobs/{job_id}/deliveries")
    return str(found["id"])


def _look(service: Service, delivery_id: str) -> dict[str, Any]:
    return dict(service.client.get(f"/v1/deliveries/{delivery_id}").json())


def test_a_delivery_tells_where_it_stands_and_every_attempt(hooked: Service) -> None:
    job_id = queued(hooked)
    hooked.answer(job_id)
    (made,) = log(hooked, f"/v1/jobs/{job_id}/deliveries")
    assert made["message_id"] == f"{job_id}-{hooked.job(job_id).version}"
    assert (made["event"], made["state"], made["url"]) == ("job.succeeded", "pending", URL)
    assert (made["job_id"], made["batch_id"], made["webhook_id"]) == (job_id, None, None)
    assert made["attempts"] == []
    assert made["next_attempt_at"]
    tried(hooked, made["id"], 500)
    looked = _look(hooked, made["id"])
    assert (looked["state"], looked["next_attempt_at"], looked["given_up_because"]) == ("failed", None, None)
    (attempt,) = looked["attempts"]
    assert datetime.fromisoformat(attempt["at"]).tzinfo
    told_of = {"status": 500, "latency_ms": 12.5, "error": "answered 500", "excerpt": "Said so."}
    assert attempt == {"at": attempt["at"], **told_of}
    assert log(hooked) == log(hooked, f"/v1/jobs/{job_id}/deliveries") == [looked]
    assert hooked.client.get(looked["urls"]["self"]).json() == looked


def test_a_job_and_a_webhook_are_told_under_one_id(hooked: Service) -> None:
    webhook = register(hooked)
    job_id = queued(hooked)
    hooked.answer(job_id)
    own, registered = sorted(log(hooked, f"/v1/jobs/{job_id}/deliveries"), key=lambda one: one["webhook_id"] or "")
    assert (own["webhook_id"], registered["webhook_id"]) == (None, webhook["id"])
    assert own["message_id"] == registered["message_id"]
    assert own["id"] != registered["id"]


def test_pages_hold_each_delivery_once_newest_first_while_others_are_made(hooked: Service) -> None:
    ids = [_delivery(hooked) for _ in range(7)]
    pages = _pages(hooked, "/v1/deliveries?limit=3", lambda: _delivery(hooked))
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [id_ for page in pages for id_ in page] == ids[::-1]


@pytest.mark.parametrize("state", ["pending", "succeeded", "failed"])
def test_a_log_by_state_shows_those_and_no_others_from_page_to_page(state: str, hooked: Service) -> None:
    made: dict[str, list[str]] = {"pending": [], "succeeded": [], "failed": []}
    for _ in range(2):
        for found, status in (("pending", 0), ("succeeded", 200), ("failed", 500)):
            made[found].append(_delivery(hooked))
            if status:
                tried(hooked, made[found][-1], status)
    assert _pages(hooked, f"/v1/deliveries?state={state}&limit=1") == [[id_] for id_ in made[state][::-1]]


def test_a_log_of_one_webhook_shows_its_deliveries_alone(hooked: Service) -> None:
    one, other = register(hooked), register(hooked)
    for _ in range(3):
        hooked.answer(queued(hooked))
    pages = _pages(hooked, f"/v1/deliveries?webhook={one['id']}&state=pending&limit=2")
    assert [len(page) for page in pages] == [2, 1]
    assert {_look(hooked, id_)["webhook_id"] for page in pages for id_ in page} == {one["id"]}
    assert len(log(hooked, f"/v1/deliveries?webhook={other['id']}")) == 3
    assert len(log(hooked)) == 9
    assert_problem(hooked.client.get(f"/v1/deliveries?webhook={_NOBODY}"), 404, "unknown-webhook")


@pytest.mark.parametrize(
    "query", ["state=lost", "limit=0", "limit=201", "limit=many", "cursor=x", "webhook=default", "colour=green"]
)
def test_a_log_that_cannot_be_had_is_refused_by_name(query: str, hooked: Service) -> None:
    problem = assert_problem(hooked.client.get(f"/v1/deliveries?{query}"), 400, "malformed-request")
    assert query.partition("=")[0] in problem["detail"]


@pytest.mark.parametrize("id_", [_NOBODY, "x", "%00", "1" * 3000])
def test_a_delivery_that_never_was_is_unknown(id_: str, hooked: Service) -> None:
    assert_problem(hooked.client.get(f"/v1/deliveries/{id_}"), 404, "unknown-delivery")
    assert_problem(hooked.client.post(f"/v1/deliveries/{id_}/redeliver"), 404, "unknown-delivery")
    assert_problem(hooked.client.get(f"/v1/jobs/{id_}/deliveries"), 404, "unknown-job")


def test_nobody_sees_or_sends_another_keys_deliveries_but_an_admin(hooked: Service) -> None:
    owner, other = make_key(hooked.database), make_key(hooked.database)
    admin, reader = make_key(hooked.database, {Scope.ADMIN}), make_key(hooked.database, {Scope.READ})
    webhook = register(hooked, key=owner.secret)
    job_id = queued(hooked, key=owner.secret)
    hooked.answer(job_id)
    ids = [one["id"] for one in log(hooked, key=owner.secret)]
    assert len(ids) == 2
    for stranger in (other, reader):
        assert log(hooked, key=stranger.secret) == []
        asked = hooked.client.get(f"/v1/deliveries/{ids[0]}", headers=stranger.header)
        assert_problem(asked, 404, "unknown-delivery")
        asked = hooked.client.get(f"/v1/jobs/{job_id}/deliveries", headers=stranger.header)
        assert_problem(asked, 404, "unknown-job")
        asked = hooked.client.get(f"/v1/deliveries?webhook={webhook['id']}", headers=stranger.header)
        assert_problem(asked, 404, "unknown-webhook")
    sent = hooked.client.post(f"/v1/deliveries/{ids[0]}/redeliver", headers=other.header)
    assert_problem(sent, 404, "unknown-delivery")
    assert [one["id"] for one in log(hooked, key=admin.secret)] == ids
    (registered,) = log(hooked, f"/v1/deliveries?webhook={webhook['id']}", admin.secret)
    assert registered["id"] in ids
    assert hooked.client.post(f"/v1/deliveries/{ids[0]}/redeliver", headers=admin.header).status_code == 202


@pytest.mark.parametrize("status", [204, 500])
def test_a_delivery_is_sent_again_under_its_id_with_its_attempts(status: int, hooked: Service) -> None:
    id_ = _delivery(hooked)
    tried(hooked, id_, status)
    before = _look(hooked, id_)
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
    looked = _look(hooked, id_)
    assert looked["state"] == "succeeded"
    assert [one["status"] for one in looked["attempts"]] == [status, 204]


def test_what_was_erased_is_not_sent_again(hooked: Service) -> None:
    register(hooked)
    id_ = _delivery(hooked, webhook_url="")
    tried(hooked, id_)
    job_id = _look(hooked, id_)["job_id"]
    assert hooked.client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert_problem(hooked.client.post(f"/v1/deliveries/{id_}/redeliver"), 410, "job-erased")
    assert_problem(hooked.client.get(f"/v1/jobs/{job_id}/deliveries"), 410, "job-erased")
    assert _look(hooked, id_)["state"] == "succeeded"


@pytest.mark.parametrize("end", ["disable", "remove"])
def test_nothing_is_sent_again_to_a_webhook_that_is_disabled_or_removed(end: str, hooked: Service) -> None:
    webhook = register(hooked)
    id_ = _delivery(hooked, webhook_url="")
    tried(hooked, id_, 500)
    where = f"/v1/webhooks/{webhook['id']}"
    hooked.client.post(f"{where}/disable") if end == "disable" else hooked.client.delete(where)
    assert_problem(hooked.client.post(f"/v1/deliveries/{id_}/redeliver"), 409, "move-refused")
    assert _look(hooked, id_)["state"] == "failed"
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
    ids = {name: _delivery(hooked, webhook_url="") for name in ("waiting", "succeeded", "failed", "erased")}
    ping = hooked.client.post(f"/v1/webhooks/{webhook['id']}/ping").json()["id"]
    for name, status in (("succeeded", 200), ("failed", 500), ("erased", 500)):
        tried(hooked, ids[name], status)
    tried(hooked, ping, 500)
    hooked.client.delete(f"/v1/jobs/{_look(hooked, ids['erased'])['job_id']}")
    assert _range(hooked, webhook, state=state) == len(sent)
    stand = {name: _look(hooked, id_)["state"] for name, id_ in ids.items()}
    assert stand == {
        "waiting": "pending",
        "succeeded": "pending" if "succeeded" in sent else "succeeded",
        "failed": "pending" if "failed" in sent else "failed",
        "erased": "failed",
    }
    assert _look(hooked, ping)["state"] == "failed"


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


def test_the_log_of_an_untold_job_is_empty(hooked: Service) -> None:
    job_id = hooked.queued(jpeg())
    hooked.answer(job_id)
    assert told(hooked, job_id) == []
