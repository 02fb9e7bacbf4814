"""What is told of jobs and batches: every end once, with the move, under an id of its own."""

import json
from typing import Any

import pytest
import sqlalchemy as sa

from shared.tables import jobs
from tests.api.conftest import MakeService
from tests.api.hooks import NETWORKS, URL, log, payloads, queued, register, send, send_batch, told
from tests.api.service import ANSWER, Service, assert_problem
from tests.photos import jpeg
from tests.shared.make import claim

_EVERYTHING = "job.started,job.succeeded,job.failed,job.canceled"


def _messages(service: Service, job_id: str) -> list[dict[str, Any]]:
    """The payloads that were written for a job, oldest first."""
    said = payloads(service)
    return [json.loads(said[one["id"]] or "{}") for one in reversed(log(service, f"/v1/jobs/{job_id}/deliveries"))]


def _of_batches(service: Service) -> list[dict[str, Any]]:
    return [one for one in reversed(log(service)) if one["event"] == "batch.completed"]


def test_a_job_that_succeeds_is_told_with_its_ticket(hooked: Service) -> None:
    job_id = queued(hooked, metadata='{"plot": 7}', webhook_events=_EVERYTHING)
    hooked.answer(job_id)
    assert told(hooked, job_id) == ["job.started", "job.succeeded"]
    started, ended = _messages(hooked, job_id)
    assert (started["type"], started["data"]["status"]) == ("job.started", "running")
    ticket = hooked.client.get(f"/v1/jobs/{job_id}").json()
    del ticket["position"], ticket["eta_seconds"]
    assert ended.keys() == {"type", "timestamp", "data"}
    assert ended["type"] == "job.succeeded"
    for of_its_receivers in ("webhook_url", "webhook_events"):  # what one address may know, others need not
        del ticket[of_its_receivers]
    assert ended["data"] == ticket
    assert ticket["metadata"] == {"plot": 7}
    assert ticket["result"]["predicted_class"] == ANSWER["predicted_class"]


def test_a_job_that_fails_is_told_with_its_error(hooked: Service) -> None:
    job_id = queued(hooked)
    hooked.answer(job_id, code="image-undecodable")
    assert told(hooked, job_id) == ["job.failed"]
    (message,) = _messages(hooked, job_id)
    assert message["data"]["error"]["code"] == "image-undecodable"
    assert message["data"]["result"] is None


@pytest.mark.parametrize("running", [False, True])
def test_a_job_that_is_canceled_is_told_once(running: bool, hooked: Service) -> None:
    job_id = queued(hooked)
    if running:
        claim(hooked.database, job_id)
    assert hooked.client.post(f"/v1/jobs/{job_id}/cancel").status_code == 200
    assert_problem(hooked.client.post(f"/v1/jobs/{job_id}/cancel"), 409, "move-refused")
    assert told(hooked, job_id) == ["job.canceled"]


def test_a_retried_job_is_told_of_again_under_another_id(hooked: Service) -> None:
    job_id = queued(hooked)
    hooked.answer(job_id, code="model-fault")
    assert hooked.client.post(f"/v1/jobs/{job_id}/retry").status_code == 202
    hooked.answer(job_id)
    assert told(hooked, job_id) == ["job.failed", "job.succeeded"]
    ids = [one["message_id"] for one in log(hooked, f"/v1/jobs/{job_id}/deliveries")]
    assert len(set(ids)) == 2
    assert all(id_.startswith(f"{job_id}-") and "." not in id_ for id_ in ids)


def test_an_erased_job_that_was_queued_is_told_canceled_and_no_word_more(hooked: Service) -> None:
    job_id = queued(hooked, metadata='{"name": "Ana Quispe"}')
    assert hooked.client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert_problem(hooked.client.get(f"/v1/jobs/{job_id}/deliveries"), 410, "job-erased")
    (delivery,) = log(hooked)
    assert (delivery["event"], delivery["state"], delivery["job_id"]) == ("job.canceled", "pending", job_id)
    assert payloads(hooked) == {delivery["id"]: None}
    assert hooked.job(job_id).webhook_url is None


def test_what_an_erased_job_had_told_is_erased_too(hooked: Service) -> None:
    kept, erased = queued(hooked), queued(hooked)
    hooked.answer(kept, erased)
    hooked.client.delete(f"/v1/jobs/{erased}")
    by_job = {one["job_id"]: payloads(hooked)[one["id"]] for one in log(hooked)}
    assert by_job[erased] is None
    assert by_job[kept]


@pytest.mark.parametrize("events", ["job.failed", "job.started", "job.failed,job.canceled"])
def test_nothing_is_told_that_was_not_asked_for(events: str, hooked: Service) -> None:
    job_id = queued(hooked, webhook_events=events)
    hooked.answer(job_id)
    assert told(hooked, job_id) == [event for event in ("job.started", "job.succeeded") if event in events]


def test_a_registered_webhook_is_told_what_it_registered_for(hooked: Service) -> None:
    failures, everything = register(hooked, events=["job.failed"]), register(hooked, events=_EVERYTHING.split(","))
    good, bad = hooked.queued(jpeg()), hooked.queued(jpeg())
    hooked.answer(good)
    hooked.answer(bad, code="model-fault")
    by_webhook = {
        one["id"]: [two["event"] for two in reversed(log(hooked, f"/v1/deliveries?webhook={one['id']}"))]
        for one in (failures, everything)
    }
    assert by_webhook[failures["id"]] == ["job.failed"]
    assert by_webhook[everything["id"]] == ["job.started", "job.succeeded", "job.started", "job.failed"]


def test_a_batch_is_told_of_once_when_its_last_job_has_ended(hooked: Service) -> None:
    batch = send_batch(hooked, 3)
    first, second, third = (job["id"] for job in batch["jobs"])
    hooked.answer(first)
    hooked.answer(second, code="image-undecodable")
    assert log(hooked) == []
    hooked.answer(third)
    (delivery,) = log(hooked)
    assert (delivery["event"], delivery["batch_id"], delivery["job_id"]) == ("batch.completed", batch["id"], None)
    data = json.loads(payloads(hooked)[delivery["id"]] or "")["data"]
    assert (data["id"], data["total"]) == (batch["id"], 3)
    assert data["counts"] == {"succeeded": 2, "failed": 1, "canceled": 0, "refused": 0}
    assert data["urls"]["results"] == batch["urls"]["results"]
    version = sum(hooked.job(job_id).version for job_id in (first, second, third))
    assert delivery["message_id"] == f"{batch['id']}-{version}"


def test_a_batch_is_told_of_to_registered_webhooks_with_those_it_refused(hooked: Service) -> None:
    register(hooked, events=["batch.completed"])
    files = [("files", ("a.jpg", jpeg())), ("files", ("README.md", b"no image"))]
    batch = hooked.client.post("/v1/batches", files=files).json()
    hooked.answer(batch["jobs"][0]["id"])
    (delivery,) = log(hooked)
    data = json.loads(payloads(hooked)[delivery["id"]] or "")["data"]
    assert (data["total"], data["counts"]["succeeded"], data["counts"]["refused"]) == (2, 1, 1)


def test_a_batch_that_is_canceled_is_told_of_once_with_its_counts(hooked: Service) -> None:
    batch = send_batch(hooked, 3)
    hooked.answer(batch["jobs"][0]["id"])
    hooked.client.post(batch["urls"]["cancel"])
    hooked.client.post(batch["urls"]["cancel"])
    (delivery,) = log(hooked)
    counts = json.loads(payloads(hooked)[delivery["id"]] or "")["data"]["counts"]
    assert counts == {"succeeded": 1, "failed": 0, "canceled": 2, "refused": 0}


def test_a_batch_is_told_of_again_under_another_id_after_a_retry(hooked: Service) -> None:
    batch = send_batch(hooked, 2)
    ids = [job["id"] for job in batch["jobs"]]
    hooked.answer(ids[0])
    hooked.answer(ids[1], code="model-fault")
    hooked.client.post(f"/v1/jobs/{ids[1]}/retry")
    assert len(_of_batches(hooked)) == 1
    hooked.answer(ids[1])
    first, second = _of_batches(hooked)
    assert first["message_id"] != second["message_id"]
    said = payloads(hooked)
    counts = [json.loads(said[one["id"]] or "")["data"]["counts"] for one in (first, second)]
    assert [(one["succeeded"], one["failed"]) for one in counts] == [(1, 1), (2, 0)]


def test_a_batch_may_tell_of_each_job_too(hooked: Service) -> None:
    batch = send_batch(hooked, 2, webhook_events="job.succeeded,batch.completed")
    hooked.answer(*(job["id"] for job in batch["jobs"]))
    assert sorted(one["event"] for one in log(hooked)) == ["batch.completed", "job.succeeded", "job.succeeded"]


def test_an_erased_batch_has_no_word_left(hooked: Service) -> None:
    batch = send_batch(hooked, 2, webhook_events="job.canceled,batch.completed")
    assert hooked.client.delete(batch["urls"]["self"]).status_code == 204
    assert len(log(hooked)) == 3
    assert set(payloads(hooked).values()) == {None}
    urls = hooked.database.read(lambda it: set(it.scalars(sa.select(jobs.c.webhook_url))))
    assert urls == {None}


def test_what_the_old_contract_makes_is_told_of_too(make_service: MakeService) -> None:
    hooked = make_service(webhook_allow_networks=NETWORKS, predict_wait_seconds=0.01)
    fields = {"webhook_url": URL, "top_k": "3"}
    answer = hooked.client.post("/predict", files={"file": ("a.jpg", jpeg())}, data=fields)
    job_id = assert_problem(answer, 503, "predict-timeout")["job_id"]
    hooked.answer(job_id)
    assert told(hooked, job_id) == ["job.succeeded"]


def test_a_job_under_its_callers_name_is_told_of_too(hooked: Service) -> None:
    files, fields = {"file": ("a.jpg", jpeg())}, {"webhook_url": URL}
    made = hooked.client.put("/v1/jobs/leaf-7", files=files, data=fields).json()
    hooked.answer(made["id"])
    assert told(hooked, "leaf-7") == ["job.succeeded"]
    (message,) = _messages(hooked, "leaf-7")
    assert message["data"]["client_id"] == "leaf-7"
    assert hooked.client.get(made["urls"]["deliveries"]).json()["deliveries"][0]["job_id"] == made["id"]


def test_a_job_without_an_address_tells_nobody(hooked: Service) -> None:
    job_id = send(hooked).json()["id"]
    hooked.answer(job_id)
    assert log(hooked) == []
