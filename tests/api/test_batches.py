"""Many images in one request: accepted together, refused one by one, looked at as one."""

import csv
import io
from typing import Any

import httpx
import pytest

from tests.api.conftest import MakeService
from tests.api.service import KEY, Service, assert_problem
from tests.photos import jpeg

_OTHER_KEY = "Z7qL2pX9wE4rT6yU1iO3aS5dF8gH0jKm"
_IMAGES = [jpeg(color=(number, 90, 40)) for number in (0, 60, 120)]


def _send(service: Service, *files: tuple[str, bytes], key: str = "", **fields: Any) -> httpx.Response:
    answer: httpx.Response = service.client.post(
        "/v1/batches",
        files=[("files", one) for one in files],
        data=fields,
        headers={"Idempotency-Key": key} if key else {},
    )
    return answer


def _three(service: Service, **changes: Any) -> httpx.Response:
    return _send(service, *((f"{number}.jpg", image) for number, image in enumerate(_IMAGES)), **changes)


def test_every_good_file_becomes_a_job_in_the_order_in_which_they_came(service: Service) -> None:
    answer = _three(service, priority="batch", metadata='{"plot": 7}', keep="result")
    batch = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == batch["urls"]["self"] == f"/v1/batches/{batch['id']}"
    assert "Retry-After" in answer.headers
    assert [job["filename"] for job in batch["jobs"]] == ["0.jpg", "1.jpg", "2.jpg"]
    assert (batch["total"], batch["counts"]["queued"], batch["done"]) == (3, 3, False)
    for job in batch["jobs"]:
        ticket = service.client.get(f"/v1/jobs/{job['id']}").json()
        assert (ticket["batch_id"], ticket["priority"], ticket["keep"]) == (batch["id"], "batch", "result")
        assert ticket["metadata"] == {"plot": 7}
    assert sorted(service.stored()) == sorted(job["id"] for job in batch["jobs"])


def test_a_bad_file_is_refused_by_name_and_takes_no_other_down(make_service: MakeService) -> None:
    service = make_service(api_key=KEY, upload_max_bytes=50_000, image_max_pixels=1_000_000)
    files = [
        ("good.jpg", _IMAGES[0]),
        ("note.txt", b"no image"),
        ("cut.jpg", _IMAGES[1][:-40]),
        ("huge.jpg", _IMAGES[2] + b"x" * 60_000),
        ("wide.jpg", jpeg(2000, 600)),
        ("last.jpg", _IMAGES[2]),
    ]
    batch = _send(service, *files).json()
    assert [(job["index"], job["filename"]) for job in batch["jobs"]] == [(0, "good.jpg"), (5, "last.jpg")]
    assert [(one["index"], one["filename"], one["code"]) for one in batch["refused"]] == [
        (1, "note.txt", "image-type-refused"),
        (2, "cut.jpg", "image-undecodable"),
        (3, "huge.jpg", "upload-too-large"),
        (4, "wide.jpg", "image-too-many-pixels"),
    ]
    assert (batch["total"], batch["counts"]["refused"], batch["counts"]["queued"]) == (6, 4, 2)
    assert len(service.stored()) == 2
    assert service.client.get(batch["urls"]["self"]).json()["refused"] == batch["refused"]


def test_a_batch_without_a_good_file_is_refused_and_says_what_was_wrong_with_each(service: Service) -> None:
    problem = assert_problem(_send(service, ("a.txt", b"one"), ("b.txt", b"two")), 422, "batch-refused")
    assert [one["filename"] for one in problem["refused"]] == ["a.txt", "b.txt"]
    assert service.is_empty()


def test_progress_is_counted_and_ends(service: Service) -> None:
    batch = _three(service).json()
    first, second, third = (job["id"] for job in batch["jobs"])
    service.answer(first)
    service.answer(second, code="image-undecodable")
    looked = service.client.get(batch["urls"]["self"])
    assert (looked.json()["counts"]["succeeded"], looked.json()["counts"]["failed"]) == (1, 1)
    assert looked.json()["done"] is False
    assert "Retry-After" in looked.headers
    service.client.delete(f"/v1/jobs/{third}")
    looked = service.client.get(batch["urls"]["self"])
    assert (looked.json()["counts"]["erased"], looked.json()["done"]) == (1, True)
    assert "Retry-After" not in looked.headers


def test_results_come_as_json_and_as_csv_with_a_row_for_each_file(service: Service) -> None:
    files = [("=1+1.jpg", _IMAGES[0]), ("note.txt", b"none"), ("ñ.jpg", _IMAGES[1]), ("late.jpg", _IMAGES[2])]
    batch = _send(service, *files).json()
    good, bad, late = (job["id"] for job in batch["jobs"])
    service.answer(good)
    service.answer(bad, code="image-undecodable")
    found = service.client.get(batch["urls"]["results"]).json()
    assert found["done"] is False
    assert [row["status"] for row in found["results"]] == ["succeeded", "refused", "failed", "queued"]
    assert found["results"][0]["probabilities"] == {"healthy": 0.1, "rust": 0.9}
    assert found["results"][1]["error"]["code"] == "image-type-refused"
    assert found["results"][3]["job_id"] == late
    answer = service.client.get(batch["urls"]["csv"])
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["filename"] for row in rows] == ["'=1+1.jpg", "note.txt", "ñ.jpg", "late.jpg"]
    assert (rows[0]["predicted_class"], rows[0]["p:rust"], rows[0]["verdict"]) == ("rust", "0.9", "diagnosed")
    assert rows[2]["error"] == "image-undecodable"


def test_canceling_a_batch_withdraws_what_has_not_ended(service: Service) -> None:
    batch = _three(service).json()
    service.answer(batch["jobs"][0]["id"])
    canceled = service.client.post(batch["urls"]["cancel"]).json()
    assert (canceled["counts"]["succeeded"], canceled["counts"]["canceled"], canceled["done"]) == (1, 2, True)
    assert service.waiting_ids() == []
    assert service.client.post(batch["urls"]["cancel"]).json()["counts"]["canceled"] == 2


def test_an_erased_batch_is_gone_with_its_jobs(service: Service) -> None:
    batch = _three(service).json()
    assert service.client.delete(batch["urls"]["self"]).status_code == 204
    assert_problem(service.client.get(batch["urls"]["self"]), 410, "batch-erased")
    assert_problem(service.client.get(f"/v1/jobs/{batch['jobs'][0]['id']}"), 410, "job-erased")
    assert service.waiting_ids() == []


def test_a_replayed_batch_is_the_same_and_stores_nothing_twice(service: Service) -> None:
    first, again = _three(service, key="once"), _three(service, key="once")
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(service.stored()) == len(service.waiting_ids()) == 3
    assert_problem(_send(service, ("0.jpg", _IMAGES[0]), key="once"), 422, "idempotency-mismatch")
    assert len(service.stored()) == 3


def test_a_batch_is_its_callers_alone(make_service: MakeService) -> None:
    service = make_service(api_key=f"{KEY},{_OTHER_KEY}")
    batch = _three(service).json()
    other = {"X-API-Key": _OTHER_KEY}
    asked = [("GET", ""), ("GET", "/results"), ("GET", "/results.csv"), ("POST", "/cancel"), ("DELETE", "")]
    for method, path in asked:
        answer = service.client.request(method, batch["urls"]["self"] + path, headers=other)
        assert_problem(answer, 404, "unknown-batch")
    assert_problem(service.client.get(f"/v1/jobs?batch={batch['id']}", headers=other), 404, "unknown-batch")
    assert len(service.waiting_ids()) == 3


@pytest.mark.parametrize("batch_id", ["0" * 32, "x", "..", "%00"])
def test_an_unknown_batch_is_not_found(batch_id: str, service: Service) -> None:
    answer = service.client.get(f"/v1/batches/{batch_id}/results")
    assert answer.status_code == 404
    assert answer.json()["code"] in ("unknown-batch", "unknown-route")


def test_more_files_than_a_batch_may_have_are_refused_whole(make_service: MakeService) -> None:
    service = make_service(api_key=KEY, batch_files_max=2)
    assert_problem(_three(service), 413, "upload-too-large")
    assert service.is_empty()


def test_fields_behind_a_file_are_refused_for_they_would_come_too_late(service: Service) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n' + _IMAGES[0] + b"\r\n"
        b'--x\r\nContent-Disposition: form-data; name="keep"\r\n\r\nnothing\r\n--x--\r\n'
    )
    answer = service.client.post(
        "/v1/batches", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert "before the files" in assert_problem(answer, 400, "malformed-request")["detail"]
    assert service.is_empty()


def test_a_batch_that_broke_off_leaves_nothing(service: Service) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n' + _IMAGES[0] + b"\r\n"
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="b.jpg"\r\n\r\n' + _IMAGES[1][:200]
    )
    answer = service.client.post(
        "/v1/batches", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert_problem(answer, 400, "malformed-request")
    assert service.is_empty()


def test_a_list_shows_the_jobs_of_one_batch(service: Service) -> None:
    service.queued(jpeg())
    batch = _three(service).json()
    listed = service.client.get(batch["urls"]["jobs"]).json()["jobs"]
    assert sorted(job["id"] for job in listed) == sorted(job["id"] for job in batch["jobs"])
