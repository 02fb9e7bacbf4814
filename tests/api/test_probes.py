"""Probes, metrics, the served model, the access log and the OpenAPI document."""

import pytest

from shared.keys import key_id
from shared.metrics import count_attempt, count_finished, note_lateness
from shared.presence import Note
from tests.api.conftest import MakeService
from tests.api.service import KEY, MODEL, Service, log_lines
from tests.photos import jpeg
from tests.waiting import wait_for

RECEIPT = {"engine": "openvino", "precision": "bf16"}


def _warm(service: Service) -> None:
    note = Note(0.5, RECEIPT, {"labels": [{"id": "rust"}], "width_px": 180})
    service.app.state.services.presence.beat(MODEL, "host/boot/1", note)


def test_ready_means_that_a_worker_is_warm(service: Service) -> None:
    cold = service.client.get("/readyz")
    assert (cold.status_code, cold.json()["ready"]) == (503, False)
    assert {name for name, state in cold.json()["checks"].items() if state != "ok"} == {"worker"}
    _warm(service)
    for path in ("/readyz", "/health"):
        warm = service.client.get(path)
        assert (warm.status_code, warm.json()["ready"], warm.json()["model"]) == (200, True, MODEL)


def test_the_served_model_is_told_as_its_workers_tell_it(service: Service) -> None:
    assert service.client.get("/v1/models").json() == {"models": [{"name": MODEL, "ready": False}]}
    _warm(service)
    (model,) = service.client.get("/v1/models").json()["models"]
    assert (model["name"], model["ready"], model["width_px"], model["engine"]) == (MODEL, True, 180, "openvino")


def test_a_waiting_jobs_end_is_estimated_from_the_workers_speed(service: Service) -> None:
    _warm(service)
    ids = [service.queued(jpeg()) for _ in range(3)]
    line = service.app.state.services.line
    wait_for(lambda: line.depth(MODEL) == 3, "all in line")
    assert service.client.get(f"/v1/jobs/{ids[2]}").json()["eta_seconds"] == 1.5


def test_metrics_tell_line_workers_totals_and_requests(service: Service) -> None:
    _warm(service)
    services = service.app.state.services
    count_finished(services.presence._redis, [None, None, "image-undecodable"])
    count_attempt(services.presence._redis, "retried")
    note_lateness(services.presence._redis, 7.5)
    service.queued(jpeg())
    service.client.get("/unknown/1")
    text = service.client.get("/metrics").text
    for line in (
        "turno_line_up 1.0",
        f'turno_workers_warm{{model="{MODEL}"}} 1.0',
        f'turno_job_seconds{{model="{MODEL}"}} 0.5',
        f'turno_jobs_accepted_total{{model="{MODEL}"}} 1.0',
        'turno_jobs_finished_total{code="",status="succeeded"} 2.0',
        'turno_jobs_finished_total{code="image-undecodable",status="failed"} 1.0',
        'turno_webhook_attempts_total{outcome="retried"} 1.0',
        "turno_webhook_late_seconds 7.5",
        'turno_http_request_seconds_count{method="POST",route="/v1/jobs",status="202"} 1.0',
    ):
        assert line in text, line
    assert "/unknown/1" not in text


def test_the_access_log_tells_who_asked_what_and_no_secret(
    capsys: pytest.CaptureFixture[str], make_service: MakeService
) -> None:
    service = make_service(api_key=KEY)
    job_id = service.queued(jpeg())
    service.client.get(f"/v1/jobs/{job_id}")
    service.client.get("/v1/models", headers={"X-API-Key": "a-wrong-key-that-must-not-be-logged"})
    printed = capsys.readouterr().out
    accepted, looked, refused = [line for line in log_lines(printed) if line["event"] == "request"]
    assert (accepted["method"], accepted["route"], accepted["status"]) == ("POST", "/v1/jobs", 202)
    assert accepted["job"] == looked["job"] == job_id
    assert accepted["caller"] == key_id(KEY)
    assert looked["route"] == "/v1/jobs/{job_id}"
    assert (refused["status"], refused["caller"], refused["level"]) == (401, "-", "warning")
    assert KEY not in printed
    assert "must-not-be-logged" not in printed
    assert "JFIF" not in printed


def test_the_openapi_document_describes_the_service(service: Service) -> None:
    document = service.client.get("/openapi.json").json()
    assert {"/v1/jobs", "/v1/jobs/{job_id}", "/predict", "/readyz", "/v1/models"} <= document["paths"].keys()
    upload = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
    assert upload["multipart/form-data"]["schema"]["required"] == ["file"]
    assert "HTTPValidationError" not in document["components"]["schemas"], "refusals are problem documents"


def test_a_monitor_may_ask_for_the_head_alone(service: Service) -> None:
    for path in ("/", "/livez"):
        answer = service.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
    assert service.client.head("/readyz").status_code == 503  # no worker runs here
