"""The log of deliveries: whole, in pages, and for its owner's eyes."""

import json
from datetime import datetime
from typing import Any

import pytest

from shared.jobs import Scope
from tests.api.hooks import URL, delivery_of, log, look, payloads, queued, register, send_batch, told, tried
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
    looked = look(hooked, made["id"])
    assert (looked["state"], looked["next_attempt_at"], looked["given_up_because"]) == ("failed", None, None)
    (attempt,) = looked["attempts"]
    assert datetime.fromisoformat(attempt["at"]).tzinfo
    told_of = {"status": 500, "latency_ms": 12.5, "error": "answered 500", "excerpt": "Said so."}
    assert attempt == {"at": attempt["at"], **told_of}
    assert hooked.client.get(looked["urls"]["self"]).json() == looked
    del looked["payload"]  # in no list: a page of them would be megabytes
    assert log(hooked) == log(hooked, f"/v1/jobs/{job_id}/deliveries") == [looked]


def test_a_delivery_shows_what_it_says_until_that_is_erased(hooked: Service) -> None:
    job_id = queued(hooked)
    hooked.answer(job_id)
    (made,) = log(hooked, f"/v1/jobs/{job_id}/deliveries")
    shown = look(hooked, made["id"])["payload"]
    assert shown == payloads(hooked)[made["id"]]
    assert json.loads(shown)["data"]["id"] == job_id
    hooked.client.delete(f"/v1/jobs/{job_id}")
    assert look(hooked, made["id"])["payload"] is None


def test_a_job_and_a_webhook_are_told_under_one_id(hooked: Service) -> None:
    webhook = register(hooked)
    job_id = queued(hooked)
    hooked.answer(job_id)
    own, registered = sorted(log(hooked, f"/v1/jobs/{job_id}/deliveries"), key=lambda one: one["webhook_id"] or "")
    assert (own["webhook_id"], registered["webhook_id"]) == (None, webhook["id"])
    assert own["message_id"] == registered["message_id"]
    assert own["id"] != registered["id"]


def test_pages_hold_each_delivery_once_newest_first_while_others_are_made(hooked: Service) -> None:
    ids = [delivery_of(hooked) for _ in range(7)]
    pages = _pages(hooked, "/v1/deliveries?limit=3", lambda: delivery_of(hooked))
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [id_ for page in pages for id_ in page] == ids[::-1]


@pytest.mark.parametrize("state", ["pending", "succeeded", "failed"])
def test_a_log_by_state_shows_those_and_no_others_from_page_to_page(state: str, hooked: Service) -> None:
    made: dict[str, list[str]] = {"pending": [], "succeeded": [], "failed": []}
    for _ in range(2):
        for found, status in (("pending", 0), ("succeeded", 200), ("failed", 500)):
            made[found].append(delivery_of(hooked))
            if status:
                tried(hooked, made[found][-1], status)
    assert _pages(hooked, f"/v1/deliveries?state={state}&limit=1") == [[id_] for id_ in made[state][::-1]]


def test_a_log_of_one_webhook_shows_its_deliveries_alone(hooked: Service) -> None:
    one, other = register(hooked), register(hooked)
    for _ in range(3):
        hooked.answer(queued(hooked))
    pages = _pages(hooked, f"/v1/deliveries?webhook={one['id']}&state=pending&limit=2")
    assert [len(page) for page in pages] == [2, 1]
    assert {look(hooked, id_)["webhook_id"] for page in pages for id_ in page} == {one["id"]}
    assert len(log(hooked, f"/v1/deliveries?webhook={other['id']}")) == 3
    assert len(log(hooked)) == 9
    assert log(hooked, f"/v1/deliveries?webhook={_NOBODY}") == []


def test_a_log_is_of_one_job_or_of_one_batch(hooked: Service) -> None:
    register(hooked)
    batch = send_batch(hooked, webhook_events="job.succeeded,batch.completed")
    ids = [one["id"] for one in batch["jobs"]]
    hooked.answer(*ids, queued(hooked))
    of_job = log(hooked, f"/v1/deliveries?job={ids[0]}")
    assert [one["job_id"] for one in of_job] == 2 * [ids[0]]
    of_batch = log(hooked, f"/v1/deliveries?batch={batch['id']}")
    assert [one["event"] for one in of_batch] == 2 * ["batch.completed"]
    pages = _pages(hooked, f"/v1/deliveries?batch={batch['id']}&state=pending&limit=1")
    assert pages == [[one["id"]] for one in of_batch]
    hooked.client.delete(batch["urls"]["self"])
    assert [one["id"] for one in log(hooked, f"/v1/deliveries?batch={batch['id']}")] == [one["id"] for one in of_batch]
    assert log(hooked, f"/v1/deliveries?batch={_NOBODY}") == log(hooked, f"/v1/deliveries?job={_NOBODY}") == []


@pytest.mark.parametrize(
    "query",
    [
        "state=lost",
        "limit=0",
        "limit=201",
        "limit=many",
        "cursor=x",
        "webhook=default",
        "job=leaf-1",
        "batch=x",
        "colour=green",
    ],
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
        for chosen in (f"webhook={webhook['id']}", f"job={job_id}"):
            assert log(hooked, f"/v1/deliveries?{chosen}", stranger.secret) == []
    sent = hooked.client.post(f"/v1/deliveries/{ids[0]}/redeliver", headers=other.header)
    assert_problem(sent, 404, "unknown-delivery")
    assert [one["id"] for one in log(hooked, key=admin.secret)] == ids
    (registered,) = log(hooked, f"/v1/deliveries?webhook={webhook['id']}", admin.secret)
    assert registered["id"] in ids
    assert hooked.client.post(f"/v1/deliveries/{ids[0]}/redeliver", headers=admin.header).status_code == 202


def test_the_log_of_an_untold_job_is_empty(hooked: Service) -> None:
    job_id = hooked.queued(jpeg())
    hooked.answer(job_id)
    assert told(hooked, job_id) == []
