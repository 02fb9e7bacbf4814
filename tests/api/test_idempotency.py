"""The same submission, however often it comes, is one job; another under the same name is refused."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.api.conftest import MakeService
from tests.api.service import KEY, Service, assert_problem
from tests.photos import jpeg

_OTHER_KEY = "Z7qL2pX9wE4rT6yU1iO3aS5dF8gH0jKm"
_OTHER_IMAGE = jpeg(color=(200, 0, 0))


def _put(service: Service, name: str, image: bytes = jpeg(), **fields: Any) -> httpx.Response:
    answer: httpx.Response = service.client.put(f"/v1/jobs/{name}", files={"file": ("a.jpg", image)}, data=fields)
    return answer


def test_a_replay_gets_the_same_job_and_says_so(service: Service) -> None:
    first = service.submit(jpeg(), **{"Idempotency-Key": "once"})
    again = service.submit(jpeg(), **{"Idempotency-Key": "once"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert service.stored() == [first.json()["id"]]


def test_a_replay_after_the_end_gets_the_result(service: Service) -> None:
    job_id = service.submit(jpeg(), **{"Idempotency-Key": "once"}).json()["id"]
    service.answer(job_id)
    again = service.submit(jpeg(), **{"Idempotency-Key": "once"})
    assert (again.status_code, again.json()["result"]["predicted_class"]) == (200, "rust")


@pytest.mark.parametrize(("one", "other"), [('"once"', "once"), ("once ", "once"), ('"once"', '"once"')])
def test_a_key_is_the_same_with_quotes_and_without(one: str, other: str, service: Service) -> None:
    ids = {service.submit(jpeg(), **{"Idempotency-Key": key}).json()["id"] for key in (one, other)}
    assert len(ids) == 1


@pytest.mark.parametrize("fields", [{"priority": "batch"}, {"metadata": '{"plot": 7}'}, {"keep": "nothing"}])
def test_the_same_key_with_other_wishes_is_refused(fields: dict[str, str], service: Service) -> None:
    service.submit(jpeg(), **{"Idempotency-Key": "once"})
    answer = service.client.post(
        "/v1/jobs", files={"file": ("photo.jpg", jpeg())}, data=fields, headers={"Idempotency-Key": "once"}
    )
    assert_problem(answer, 422, "idempotency-mismatch")
    assert len(service.stored()) == 1


def test_the_same_key_with_another_image_is_refused_and_the_first_goes_on(service: Service) -> None:
    job_id = service.submit(jpeg(), **{"Idempotency-Key": "once"}).json()["id"]
    assert_problem(service.submit(_OTHER_IMAGE, **{"Idempotency-Key": "once"}), 422, "idempotency-mismatch")
    assert service.stored() == [job_id]
    assert service.waiting_ids() == [job_id]


def test_the_same_image_in_another_form_is_the_same_payload(service: Service) -> None:
    first = service.submit(jpeg(), **{"Idempotency-Key": "once"}).json()["id"]
    raw = service.client.post(
        "/v1/jobs", content=jpeg(), headers={"Content-Type": "image/jpeg", "Idempotency-Key": "once"}
    )
    assert raw.json()["id"] == first


@pytest.mark.parametrize("key", ["", " ", '""', "x" * 256, "käse"])
def test_a_key_that_cannot_be_one_is_refused(key: str, service: Service) -> None:
    answer = service.client.post(
        "/v1/jobs", files={"file": ("a.jpg", jpeg())}, headers={b"Idempotency-Key": key.encode()}
    )
    assert_problem(answer, 400, "malformed-request")
    assert service.is_empty()


def test_a_key_of_255_characters_is_taken(service: Service) -> None:
    assert service.submit(jpeg(), **{"Idempotency-Key": f'"{"x" * 255}"'}).status_code == 202


def test_two_callers_use_the_same_key_for_jobs_of_their_own(make_service: MakeService) -> None:
    service = make_service(api_key=f"{KEY},{_OTHER_KEY}")
    mine = service.submit(jpeg(), **{"Idempotency-Key": "once"}).json()["id"]
    theirs = service.submit(jpeg(), **{"Idempotency-Key": "once", "X-API-Key": _OTHER_KEY}).json()["id"]
    assert mine != theirs


def test_a_refused_submission_leaves_its_key_free(service: Service) -> None:
    assert_problem(service.submit(b"no image", **{"Idempotency-Key": "once"}), 415, "image-type-refused")
    assert service.submit(jpeg(), **{"Idempotency-Key": "once"}).status_code == 202


def test_a_replay_of_an_erased_job_is_told_so(service: Service) -> None:
    job_id = service.submit(jpeg(), **{"Idempotency-Key": "once"}).json()["id"]
    service.client.delete(f"/v1/jobs/{job_id}")
    assert_problem(service.submit(jpeg(), **{"Idempotency-Key": "once"}), 410, "job-erased")
    assert service.stored() == []


@pytest.mark.parametrize("named", ["by key", "by the client's id"])
def test_fifty_simultaneous_replays_make_one_job(named: str, service: Service) -> None:
    def send(_: int) -> httpx.Response:
        if named == "by key":
            return service.submit(jpeg(), **{"Idempotency-Key": "once"})
        return _put(service, "field-7")

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(send, range(50)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [answer.headers.get("Idempotency-Replayed") for answer in answers].count(None) == 1
    assert service.stored() == service.waiting_ids() == [answers[0].json()["id"]]


def test_of_fifty_simultaneous_payloads_under_one_key_the_first_wins(service: Service) -> None:
    images = [jpeg(color=(number, 0, 0)) for number in range(0, 250, 5)]
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda image: service.submit(image, **{"Idempotency-Key": "once"}), images))
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(202), statuses.count(422)) == (1, 49)
    assert len(service.stored()) == len(service.waiting_ids()) == 1


def test_a_job_is_found_under_the_name_that_its_caller_gave_it(service: Service) -> None:
    made = _put(service, "field-7.leaf_3~b").json()
    assert made["client_id"] == "field-7.leaf_3~b"
    looked = service.client.get("/v1/jobs/field-7.leaf_3~b").json()
    assert looked["id"] == made["id"]
    assert service.client.post("/v1/jobs/field-7.leaf_3~b/cancel").json()["status"] == "canceled"
    assert service.client.post("/v1/jobs/field-7.leaf_3~b/retry").status_code == 202
    assert service.client.delete("/v1/jobs/field-7.leaf_3~b").status_code == 204
    assert_problem(service.client.get("/v1/jobs/field-7.leaf_3~b"), 410, "job-erased")
    assert_problem(_put(service, "field-7.leaf_3~b"), 410, "job-erased")


def test_a_name_with_another_payload_is_refused(service: Service) -> None:
    _put(service, "leaf")
    assert_problem(_put(service, "leaf", _OTHER_IMAGE), 422, "idempotency-mismatch")
    assert _put(service, "leaf").headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize("name", ["-leaf", ".leaf", "le af", "x" * 101, "ñ", "a%0Ab"])
def test_a_name_that_cannot_be_one_is_refused(name: str, service: Service) -> None:
    assert_problem(_put(service, name), 400, "malformed-request")
    assert service.is_empty()


def test_a_callers_name_for_a_job_means_nothing_to_another(make_service: MakeService) -> None:
    service = make_service(api_key=f"{KEY},{_OTHER_KEY}")
    mine = _put(service, "leaf").json()["id"]
    other = {"X-API-Key": _OTHER_KEY}
    assert_problem(service.client.get("/v1/jobs/leaf", headers=other), 404, "unknown-job")
    theirs = service.client.put("/v1/jobs/leaf", files={"file": ("a.jpg", jpeg())}, headers=other)
    assert theirs.status_code == 202
    assert theirs.json()["id"] != mine


def test_two_names_with_one_key_are_two_payloads(service: Service) -> None:
    def put(name: str) -> httpx.Response:
        files, once = {"file": ("a.jpg", jpeg())}, {"Idempotency-Key": "once"}
        answer: httpx.Response = service.client.put(f"/v1/jobs/{name}", files=files, headers=once)
        return answer

    assert put("one").status_code == 202
    assert_problem(put("other"), 422, "idempotency-mismatch")
    assert put("one").headers["Idempotency-Replayed"] == "true"


def test_replays_cost_no_quota_however_many_come_at_once(make_service: MakeService) -> None:
    service = make_service(api_key=KEY, images_per_day=2)
    send = {"Idempotency-Key": "once"}
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: service.submit(jpeg(), **send), range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert service.submit(jpeg(), **{"Idempotency-Key": "another"}).status_code == 202
    assert_problem(service.submit(jpeg()), 429, "quota-exceeded")
    assert service.submit(jpeg(), **send).headers["Idempotency-Replayed"] == "true"
    assert_problem(service.submit(jpeg(), **{"Idempotency-Key": "a third"}), 429, "quota-exceeded")
    assert len(service.stored()) == 2


def test_a_name_that_looks_like_anothers_id_leads_to_the_callers_own_job(make_service: MakeService) -> None:
    service = make_service(api_key=f"{KEY},{_OTHER_KEY}")
    theirs = service.submit(jpeg(), **{"X-API-Key": _OTHER_KEY}).json()["id"]
    mine = _put(service, theirs).json()
    assert mine["client_id"] == theirs != mine["id"]
    assert service.client.get(f"/v1/jobs/{theirs}").json()["id"] == mine["id"]
    assert service.client.delete(f"/v1/jobs/{theirs}").status_code == 204
    assert service.job(theirs).erased_at is None


def test_a_replay_is_one_whatever_the_deployment_keeps_by_now(make_service: MakeService) -> None:
    first = make_service(api_key=KEY).submit(jpeg(), **{"Idempotency-Key": "once"}).json()["id"]
    later = make_service(api_key=KEY, keep="result")
    assert later.submit(jpeg(), **{"Idempotency-Key": "once"}).json()["id"] == first
    files, fields = {"file": ("photo.jpg", jpeg())}, {"model": "leaf-health"}
    answer = later.client.post("/v1/jobs", files=files, data=fields, headers={"Idempotency-Key": "once"})
    assert answer.json()["id"] == first
