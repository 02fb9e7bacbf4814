"""The old contract: a form in, the prediction out, through the same line."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.api.conftest import MakeService
from tests.api.service import ANSWER, KEY, Service, assert_problem
from tests.photos import jpeg
from tests.waiting import wait_for

PATHS = ("/predict", "/predict/")


def _post(service: Service, path: str) -> httpx.Response:
    answer: httpx.Response = service.client.post(path, files={"file": ("leaf.jpg", jpeg())}, follow_redirects=False)
    return answer


def _predict(service: Service, path: str, code: str | None = None) -> tuple[httpx.Response, str]:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_post, service, path)
        (job_id,) = wait_for(service.waiting_ids, "the job to be queued")
        service.answer(job_id, code=code)
        return waiting.result(60), job_id


@pytest.mark.parametrize("path", PATHS)
def test_a_prediction_has_the_old_members_and_its_job(path: str, service: Service) -> None:
    answer, job_id = _predict(service, path)
    assert answer.status_code == 200
    names = ("predictions", "predicted_class", "confidence", "probabilities")
    assert answer.json() == {"filename": "leaf.jpg", "job_id": job_id, **{name: ANSWER[name] for name in names}}
    assert answer.headers["Location"] == f"/v1/jobs/{job_id}"


@pytest.mark.parametrize(
    ("code", "status"), [("image-undecodable", 422), ("image-missing", 500), ("worker-lost", 500), ("model-fault", 500)]
)
def test_a_job_that_fails_is_a_problem_with_its_code(code: str, status: int, service: Service) -> None:
    answer, job_id = _predict(service, "/predict", code)
    document = assert_problem(answer, status, code)
    assert (document["job_id"], document["detail"]) == (job_id, "Said so.")
    assert answer.headers["Location"] == f"/v1/jobs/{job_id}"


@pytest.mark.parametrize("path", PATHS)
def test_a_prediction_that_takes_too_long_goes_on_as_a_job(path: str, make_service: MakeService) -> None:
    service = make_service(api_key=KEY, predict_wait_seconds=0.05)
    answer = _post(service, path)
    document = assert_problem(answer, 503, "predict-timeout")
    assert int(answer.headers["Retry-After"]) > 0
    job_id = document["job_id"]
    assert answer.headers["Location"] == f"/v1/jobs/{job_id}"
    service.answer(job_id)
    assert service.client.get(answer.headers["Location"]).json()["status"] == "succeeded"


@pytest.mark.parametrize(("end", "status", "code"), [("cancel", 409, "move-refused"), ("erase", 410, "job-erased")])
def test_a_prediction_withdrawn_meanwhile_says_so(end: str, status: int, code: str, service: Service) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_post, service, "/predict")
        (job_id,) = wait_for(service.waiting_ids, "the job to be queued")
        if end == "cancel":
            service.client.post(f"/v1/jobs/{job_id}/cancel")
        else:
            service.client.delete(f"/v1/jobs/{job_id}")
        assert_problem(waiting.result(60), status, code)
