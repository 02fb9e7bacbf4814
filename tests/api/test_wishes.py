"""What a caller may ask for with an image, in a form or beside a raw body; what cannot be had is refused by name."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.api.conftest import MakeService
from tests.api.hooks import URL
from tests.api.service import KEY, Service, assert_problem
from tests.photos import jpeg
from tests.shared.planted import NAME, planted


def _form(service: Service, **fields: str) -> httpx.Response:
    answer: httpx.Response = service.client.post("/v1/jobs", files={"file": ("a.jpg", jpeg())}, data=fields)
    return answer


def _raw(service: Service, **fields: str) -> httpx.Response:
    answer: httpx.Response = service.client.post(
        "/v1/jobs", content=jpeg(), params=fields, headers={"Content-Type": "image/jpeg"}
    )
    return answer


@pytest.mark.parametrize("send", [_form, _raw])
def test_wishes_are_heeded_and_told_on_the_ticket(send: Any, service: Service) -> None:
    metadata = {"plot": 7, "señas": ["ñ", None, 1.5], "deep": {"er": {}}}
    asked = {"priority": "batch", "deadline_seconds": "90", "keep": "result", "model": "leaf-health"}
    made = send(service, metadata=json.dumps(metadata), **asked).json()
    ticket = service.client.get(f"/v1/jobs/{made['id']}").json()
    assert (ticket["priority"], ticket["keep"], ticket["metadata"]) == ("batch", "result", metadata)
    received, deadline = (datetime.fromisoformat(ticket[name]) for name in ("received_at", "deadline_at"))
    assert round((deadline - received).total_seconds() - ticket["timeline"]["queued"] / 1000, 2) == 90
    assert deadline.astimezone(UTC).tzinfo is UTC
    assert made["metadata"] == ticket["metadata"]
    assert made["deadline_at"] == ticket["deadline_at"]


@pytest.mark.parametrize("send", [_form, _raw])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("priority", "urgent"),
        ("priority", "0"),
        ("deadline_seconds", "0"),
        ("deadline_seconds", "604801"),
        ("deadline_seconds", "soon"),
        ("deadline_seconds", "1.5"),
        ("keep", "everything"),
        ("metadata", "plot 7"),
        ("metadata", "[1]"),
        ("metadata", '{"a": NaN}'),
        ("metadata", '{"a": 1e999}'),
        ("metadata", '{"a": "\\ud800"}'),
        ("metadata", '{"a":' * 30 + "1" + "}" * 30),
        ("metadata", '{"a":' + "[" * 800 + "]" * 800 + "}"),
        ("metadata", "[" * 4000),
        ("metadata", json.dumps({"a": "x" * 4096})),
        ("colour", "green"),
    ],
)
def test_a_wish_that_cannot_be_had_is_refused_by_name(field: str, value: str, send: Any, service: Service) -> None:
    problem = assert_problem(send(service, **{field: value}), 400, "malformed-request")
    assert field in problem["detail"]
    assert service.is_empty()


def test_an_empty_field_says_nothing(service: Service) -> None:
    ticket = _form(service, priority="", deadline_seconds="", metadata="", keep="", model="").json()
    assert (ticket["priority"], ticket["deadline_at"], ticket["metadata"]) == ("interactive", None, None)


def test_another_model_than_the_served_one_is_unknown(service: Service) -> None:
    assert_problem(_form(service, model="x-rays"), 404, "unknown-model")
    assert service.is_empty()


def test_what_is_kept_of_a_job_that_does_not_say_is_the_deployments(make_service: MakeService) -> None:
    service = make_service(api_key=KEY, keep="nothing")
    assert service.submit(jpeg()).json()["keep"] == "nothing"
    assert _form(service, keep="full").json()["keep"] == "full"


@pytest.mark.parametrize("keep", ["full", "result", "nothing"])
def test_where_a_photo_was_taken_is_stored_only_where_everything_is_kept(keep: str, service: Service) -> None:
    photo = planted(jpeg())
    job_id = service.client.post("/v1/jobs", files={"file": ("a.jpg", photo)}, data={"keep": keep}).json()["id"]
    (path,) = (path for path in service.settings.images_dir.rglob(job_id))
    stored = path.read_bytes()
    assert (NAME in stored) == (keep == "full")
    assert (stored == photo) == (keep == "full")


def test_of_a_batch_nothing_more_is_stored(service: Service) -> None:
    photo = planted(jpeg())
    files = [("files", (f"{number}.jpg", photo)) for number in range(2)]
    assert service.client.post("/v1/batches", files=files, data={"keep": "result"}).status_code == 202
    stored = [path.read_bytes() for path in service.settings.images_dir.rglob("*") if path.is_file()]
    assert len(stored) == 2
    assert not any(NAME in image for image in stored)


def test_a_wish_in_the_query_and_in_the_form_is_refused_for_one_of_them_would_be_ignored(service: Service) -> None:
    files = {"file": ("a.jpg", jpeg())}
    answer = service.client.post("/v1/jobs?priority=batch", files=files, data={"priority": "interactive"})
    assert "priority" in assert_problem(answer, 400, "malformed-request")["detail"]
    assert service.client.post("/v1/jobs?priority=batch", files=files).json()["priority"] == "batch"


def test_a_wish_that_is_said_twice_is_refused(service: Service) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="keep"\r\n\r\n%s\r\n'
    file = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + jpeg() + b"\r\n--x--\r\n"
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = service.client.post("/v1/jobs", content=part % b"nothing" + part % b"full" + file, headers=form)
    assert "keep" in assert_problem(answer, 400, "malformed-request")["detail"]
    answer = service.client.post("/v1/jobs?keep=nothing&keep=full", files={"file": ("a.jpg", jpeg())})
    assert_problem(answer, 400, "malformed-request")
    assert service.is_empty()


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="hoja.jpg"', "hoja.jpg"),
        ("attachment; filename*=UTF-8''ni%C3%B1a.jpg", "niña.jpg"),
        ("attachment; filename=\"nina.jpg\"; filename*=UTF-8'es'ni%C3%B1a.jpg", "niña.jpg"),
        ("attachment; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("attachment", None),
    ],
)
def test_a_raw_image_is_named_by_its_disposition(disposition: str, name: str | None, service: Service) -> None:
    headers = {"Content-Type": "image/jpeg", "Content-Disposition": disposition}
    assert service.client.post("/v1/jobs", content=jpeg(), headers=headers).json()["filename"] == name


def test_a_refusal_of_many_things_at_once_stays_short(service: Service) -> None:
    answer = service.client.get("/v1/jobs?" + "&".join(f"x{number}=1" for number in range(2000)))
    assert len(assert_problem(answer, 400, "malformed-request")["detail"]) <= 1000


@pytest.mark.parametrize("send", [_form, _raw])
def test_who_is_told_of_what_stands_on_the_ticket(send: Any, hooked: Service) -> None:
    made = send(hooked, webhook_url=URL, webhook_events="job.failed, job.started,job.failed").json()
    ticket = hooked.client.get(made["urls"]["self"]).json()
    assert ticket["webhook_url"] == made["webhook_url"] == URL
    assert ticket["webhook_events"] == ["job.started", "job.failed"]
    assert ticket["urls"]["deliveries"] == f"/v1/jobs/{made['id']}/deliveries"
    assert hooked.client.get(ticket["urls"]["deliveries"]).json() == {"deliveries": [], "next": None}


def test_a_job_tells_its_end_and_a_batch_its_completion_unless_more_is_asked_for(hooked: Service) -> None:
    assert _form(hooked, webhook_url=URL).json()["webhook_events"] == ["job.succeeded", "job.failed", "job.canceled"]
    assert _form(hooked).json()["webhook_events"] is None
    assert _form(hooked, webhook_url="", webhook_events="").json()["webhook_url"] is None
    files = [("files", (f"{number}.jpg", jpeg())) for number in range(2)]
    for send in ({"data": {"webhook_url": URL}}, {"params": {"webhook_url": URL}}):
        batch = hooked.client.post("/v1/batches", files=files, **send).json()
        for job in batch["jobs"]:
            ticket = hooked.client.get(f"/v1/jobs/{job['id']}").json()
            assert (ticket["webhook_url"], ticket["webhook_events"]) == (URL, ["batch.completed"])


@pytest.mark.parametrize("send", [_form, _raw])
@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"webhook_events": "job.failed"}, "webhook_url"),
        ({"webhook_events": "batch.completed"}, "webhook_url"),
        ({"webhook_url": URL, "webhook_events": "job.exploded"}, "job.exploded"),
        ({"webhook_url": URL, "webhook_events": "job.failed,"}, "webhook_events"),
        ({"webhook_url": URL, "webhook_events": "webhook.ping"}, "webhook.ping"),
        ({"webhook_url": URL, "webhook_events": "job.failed,batch.completed"}, "batch.completed"),
        ({"webhook_url": URL, "webhook_events": '["job.failed"]'}, "webhook_events"),
    ],
)
def test_events_that_cannot_be_told_are_refused_by_name(
    fields: dict[str, str], named: str, send: Any, hooked: Service
) -> None:
    assert named in assert_problem(send(hooked, **fields), 400, "malformed-request")["detail"]
    assert hooked.is_empty()


def test_a_submission_that_tells_nobody_is_the_one_it_was_before_there_were_webhooks(service: Service) -> None:
    asked = {"priority": "batch", "deadline_seconds": "90", "metadata": '{"plot": 7}', "keep": "result"}
    files = {"file": ("a.jpg", jpeg())}
    made = service.client.put("/v1/jobs/leaf-7", files=files, data=asked).json()
    image = hashlib.sha256(hashlib.sha256(jpeg()).hexdigest().encode()).hexdigest()
    wishes = {"priority": 1, "deadline_seconds": 90, "metadata": {"plot": 7}, "keep": "result"}
    expected = hashlib.sha256(json.dumps([image, "leaf-7", wishes], sort_keys=True).encode()).hexdigest()
    assert service.job(made["id"]).fingerprint == expected


def test_a_submission_with_another_address_or_other_events_is_another(hooked: Service) -> None:
    def put(**fields: str) -> httpx.Response:
        answer: httpx.Response = hooked.client.put("/v1/jobs/leaf-7", files={"file": ("a.jpg", jpeg())}, data=fields)
        return answer

    first = put(webhook_url=URL, webhook_events="job.failed")
    assert first.status_code == 202
    again = put(webhook_url=URL, webhook_events="job.failed")
    assert (again.json()["id"], again.headers["Idempotency-Replayed"]) == (first.json()["id"], "true")
    for fields in ({}, {"webhook_url": URL}, {"webhook_url": URL + "&b", "webhook_events": "job.failed"}):
        assert_problem(put(**fields), 422, "idempotency-mismatch")
