"""What holds while something behind the service is broken."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.api.conftest import MakeService
from tests.api.service import KEY, Service, assert_problem
from tests.photos import jpeg
from tests.redis_server import RedisServer
from tests.waiting import wait_for


@pytest.fixture
def without_redis(make_service: MakeService, short_folder: Path) -> Service:
    """A service whose Redis died."""
    server = RedisServer(short_folder)
    server.start()
    service = make_service(api_key=KEY, redis_url=server.url)
    server.kill()
    return service


def test_with_redis_down_an_image_is_accepted_all_the_same(without_redis: Service) -> None:
    answer = without_redis.submit(jpeg())
    assert answer.status_code == 202
    assert answer.json()["position"] is None
    assert without_redis.waiting_ids() == without_redis.stored() == [answer.json()["id"]]


def test_with_redis_down_a_wait_still_ends_with_the_result(without_redis: Service) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(without_redis.submit, jpeg(), Prefer="wait=50")
        (job_id,) = wait_for(without_redis.waiting_ids, "the job to be queued")
        without_redis.answer(job_id, tell=False)
        assert waiting.result(60).status_code == 200


def test_with_redis_down_a_job_can_be_canceled_retried_and_erased(without_redis: Service) -> None:
    job_id = without_redis.queued(jpeg())
    path = f"/v1/jobs/{job_id}"
    assert without_redis.client.post(f"{path}/cancel").status_code == 200
    assert without_redis.client.post(f"{path}/retry").status_code == 202
    assert without_redis.client.delete(path).status_code == 204


def test_with_redis_down_probes_and_metrics_say_so(without_redis: Service) -> None:
    client = without_redis.client
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 503
    assert "turno_line_up 0.0" in client.get("/metrics").text
    assert client.get("/v1/models").json()["models"][0]["ready"] is False


def test_an_announcement_that_was_lost_is_made_up_for_by_rereading(service: Service) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(service.submit, jpeg(), Prefer="wait=50")
        (job_id,) = wait_for(service.waiting_ids, "the job to be queued")
        service.answer(job_id, tell=False)
        assert waiting.result(60).json()["status"] == "succeeded"


@pytest.mark.parametrize("path", ["/v1/jobs", "/predict", "/predict/"])
def test_when_the_database_fails_nothing_is_accepted(path: str, service: Service) -> None:
    service.database.write(lambda connection: connection.execute(sa.text("DROP TABLE jobs")))
    answer = service.client.post(path, files={"file": ("a.jpg", jpeg())})
    assert_problem(answer, 503, "store-unavailable")
    assert answer.headers["Retry-After"]
    assert "Location" not in answer.headers
    assert service.client.get("/readyz").status_code == 503


def test_when_the_database_fails_every_question_about_a_job_is_a_problem(service: Service) -> None:
    service.database.write(lambda connection: connection.execute(sa.text("DROP TABLE jobs")))
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel")):
        assert_problem(service.client.request(method, f"/v1/jobs/{32 * '1'}{path}"), 503, "store-unavailable")


def test_when_the_store_is_gone_nothing_is_accepted(service: Service) -> None:
    shutil.rmtree(service.settings.images_dir)
    service.settings.images_dir.write_text("in the way")
    assert_problem(service.submit(jpeg()), 503, "storage-full")
    assert service.waiting_ids() == []
    assert service.client.get("/readyz").status_code == 503


def test_a_full_disk_is_a_full_store(service: Service) -> None:
    incoming = service.settings.images_dir / "incoming"
    incoming.rmdir()
    incoming.symlink_to("/proc")
    assert_problem(service.submit(jpeg()), 503, "storage-full")
    assert service.waiting_ids() == []
