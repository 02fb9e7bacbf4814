"""A ticket's life over HTTP."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.jobs import TERMINAL
from tests.api.service import ANSWER, MODEL, Service, assert_problem
from tests.photos import jpeg
from tests.shared.make import claim
from tests.waiting import wait_for

UNKNOWN = "0192f7a1c3e47b0f9d5a2b6c8e1f00aa"


def test_an_accepted_image_gets_a_ticket_and_an_address(service: Service) -> None:
    answer = service.submit(jpeg(), "leaf.jpg")
    ticket = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == ticket["urls"]["self"] == f"/v1/jobs/{ticket['id']}"
    assert 1 <= int(answer.headers["Retry-After"]) <= 30
    assert (ticket["status"], ticket["model"], ticket["filename"]) == ("queued", MODEL, "leaf.jpg")
    assert (ticket["run"], ticket["attempt"], ticket["version"]) == (1, 0, 1)
    assert (ticket["result"], ticket["error"]) == (None, None)
    looked = service.client.get(ticket["urls"]["self"])
    assert looked.status_code == 200
    assert {**looked.json(), "position": None} == {**ticket, "position": None}


def test_a_waiting_jobs_ticket_says_how_many_stand_before_it(service: Service) -> None:
    ids = [service.queued(jpeg()) for _ in range(3)]
    line = service.app.state.services.line
    wait_for(lambda: line.depth(MODEL) == 3, "the usher to put all into the line")
    found = [service.client.get(f"/v1/jobs/{id_}").json()["position"] for id_ in ids]
    assert found == [0, 1, 2]


def test_priority_is_taken_from_the_form(service: Service) -> None:
    answer = service.client.post("/v1/jobs", data={"priority": "batch"}, files={"file": ("a.jpg", jpeg())})
    assert answer.json()["priority"] == "batch"
    line = service.app.state.services.line
    wait_for(lambda: line.depth(MODEL) == 1, "the first in line")
    later = service.queued(jpeg())
    wait_for(lambda: line.depth(MODEL) == 2, "both in line")
    assert list(line.take(MODEL, 2)) == [later, answer.json()["id"]]


def test_a_finished_jobs_ticket_has_its_result(service: Service) -> None:
    job_id = service.queued(jpeg())
    service.answer(job_id)
    answer = service.client.get(f"/v1/jobs/{job_id}")
    ticket = answer.json()
    assert ticket["status"] == "succeeded"
    assert "Retry-After" not in answer.headers
    result = ticket["result"]
    assert {name: result[name] for name in ANSWER if name != "stages_ms"} == {
        name: value for name, value in ANSWER.items() if name != "stages_ms"
    }
    assert "stages_ms" not in result
    assert result["filename"] == "photo.jpg"
    stages = ["received", "queued", "claimed", "decoded", "inferred", "stored"]
    assert list(ticket["timeline"]) == list(result["timeline"]) == stages


def test_a_failed_jobs_ticket_says_why(service: Service) -> None:
    job_id = service.queued(jpeg())
    service.answer(job_id, code="image-undecodable")
    ticket = service.client.get(f"/v1/jobs/{job_id}").json()
    assert (ticket["status"], ticket["result"]) == ("failed", None)
    assert ticket["error"]["code"] == "image-undecodable"
    assert ticket["error"]["detail"] == "Said so."
    assert ticket["error"]["title"].endswith(".")


def test_a_submission_that_waits_gets_its_result_with_200(service: Service) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(service.submit, jpeg(), Prefer="wait=30")
        (job_id,) = wait_for(service.waiting_ids, "the job to be queued")
        service.answer(job_id)
        answer = waiting.result(60)
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=30"
    assert answer.headers["Location"] == f"/v1/jobs/{job_id}"
    assert answer.json()["result"]["predicted_class"] == "rust"


def test_a_wait_that_is_over_gives_the_ticket_as_it_stands(service: Service) -> None:
    answer = service.submit(jpeg(), Prefer="wait=1")
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert "Retry-After" in answer.headers
    looked = service.client.get(answer.headers["Location"], headers={"Prefer": "respond-async, wait=1"})
    assert (looked.status_code, looked.json()["status"]) == (200, "queued")


@pytest.mark.parametrize("prefer", ["wait=x", "wait=0", "wait=-5", "await=9", "return=minimal", ""])
def test_a_preference_that_is_no_wait_is_not_waited_for(prefer: str, service: Service) -> None:
    answer = service.submit(jpeg(), Prefer=prefer)
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


def test_a_long_wait_is_cut_to_a_minute(service: Service) -> None:
    job_id = service.queued(jpeg())
    service.answer(job_id)
    looked = service.client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=9999"})
    assert looked.headers["Preference-Applied"] == "wait=60"


@pytest.mark.parametrize("before", ["queued", "running"])
def test_a_job_that_has_not_ended_can_be_canceled(before: str, service: Service) -> None:
    job_id = service.queued(jpeg())
    line = service.app.state.services.line
    wait_for(lambda: line.depth(MODEL) == 1, "the job to stand in the line")
    if before == "running":
        claim(service.database, job_id)
    answer = service.client.post(f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert line.depth(MODEL) == 0
    refused = assert_problem(service.client.post(f"/v1/jobs/{job_id}/cancel"), 409, "move-refused")
    assert "canceled" in refused["detail"]


@pytest.mark.parametrize("code", [None, "model-fault"])
def test_a_job_that_has_ended_cannot_be_canceled(code: str | None, service: Service) -> None:
    job_id = service.queued(jpeg())
    service.answer(job_id, code=code)
    refused = assert_problem(service.client.post(f"/v1/jobs/{job_id}/cancel"), 409, "move-refused")
    assert ("failed" if code else "succeeded") in refused["detail"]


@pytest.mark.parametrize("how", ["failed", "canceled"])
def test_a_job_that_failed_or_was_canceled_can_be_run_again(how: str, service: Service) -> None:
    job_id = service.queued(jpeg())
    line = service.app.state.services.line
    wait_for(lambda: line.take(MODEL, 1), "the job to stand in the line")
    if how == "failed":
        service.answer(job_id, code="model-fault")
    else:
        service.client.post(f"/v1/jobs/{job_id}/cancel")
    answer = service.client.post(f"/v1/jobs/{job_id}/retry")
    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["run"], answer.json()["error"]) == ("queued", 2, None)
    wait_for(lambda: line.depth(MODEL) == 1, "the job to stand in the line again")
    service.answer(job_id)
    assert service.client.get(f"/v1/jobs/{job_id}").json()["status"] == "succeeded"


@pytest.mark.parametrize("state", ["queued", "running", "succeeded"])
def test_what_has_not_failed_cannot_be_run_again(state: str, service: Service) -> None:
    job_id = service.queued(jpeg())
    if state == "running":
        claim(service.database, job_id)
    if state == "succeeded":
        service.answer(job_id)
    refused = assert_problem(service.client.post(f"/v1/jobs/{job_id}/retry"), 409, "move-refused")
    assert state in refused["detail"]


@pytest.mark.parametrize("state", ["queued", "running", "succeeded", "failed"])
def test_an_erased_job_is_gone_with_its_image_and_result(state: str, service: Service) -> None:
    job_id = service.queued(jpeg())
    line = service.app.state.services.line
    wait_for(lambda: line.depth(MODEL) == 1, "the job to stand in the line")
    if state == "running":
        claim(service.database, job_id)
    elif state != "queued":
        service.answer(job_id, code="model-fault" if state == "failed" else None)
    answer = service.client.delete(f"/v1/jobs/{job_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert service.stored() == []
    job = service.job(job_id)
    assert (job.result, job.filename, job.status in TERMINAL) == (None, None, True)
    if state == "queued":
        assert line.depth(MODEL) == 0
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/retry")):
        assert_problem(service.client.request(method, f"/v1/jobs/{job_id}{path}"), 410, "job-erased")


@pytest.mark.parametrize("job_id", [UNKNOWN, "1", "x" * 500, "%00", "a%2Fb", "ñ"])
def test_an_unknown_id_is_not_found_whatever_is_asked(job_id: str, service: Service) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("POST", "/retry")):
        answer = service.client.request(method, f"/v1/jobs/{job_id}{path}", headers={"Prefer": "wait=1"})
        assert_problem(answer, 404, answer.json()["code"])
        assert answer.json()["code"] in ("unknown-job", "unknown-route")


@pytest.mark.parametrize("path", ["/v2/jobs", "/predict/x", "/v1", "/.env", "/static/none.css", "/v1/jobs/1/events2"])
def test_an_unknown_address_is_not_found(path: str, service: Service) -> None:
    assert_problem(service.client.get(path), 404, "unknown-route")


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/v1/jobs"), ("GET", "/predict"), ("POST", "/livez"), ("PATCH", f"/v1/jobs/{UNKNOWN}")]
)
def test_a_method_that_an_address_does_not_take_is_refused(method: str, path: str, service: Service) -> None:
    answer = service.client.request(method, path)
    assert_problem(answer, 405, "method-refused")
    assert answer.headers["Allow"]


def test_who_has_the_present_ticket_gets_no_other(service: Service) -> None:
    job_id = service.queued(jpeg())
    path = f"/v1/jobs/{job_id}"
    tag = service.client.get(path).headers["ETag"]
    for known in (tag, f'"another", {tag}', tag.removeprefix("W/"), "*"):
        answer = service.client.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)
        assert "Retry-After" in answer.headers
    service.answer(job_id)
    answer = service.client.get(path, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert answer.headers["ETag"] != tag


@pytest.mark.parametrize(
    ("path", "methods"), [("/v1/jobs/x", "DELETE, GET, PUT"), ("/v1/jobs", "GET, POST"), ("/v1/jobs/x/cancel", "POST")]
)
def test_a_method_that_is_not_taken_is_told_all_that_are(path: str, methods: str, service: Service) -> None:
    answer = service.client.patch(path)
    assert_problem(answer, 405, "method-refused")
    assert answer.headers["Allow"] == methods
