"""More than may wait is refused at once, with an honest word on when to come back; what was accepted goes on."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from shared.presence import Note
from shared.tables import clock, jobs
from tests.api.conftest import MakeService
from tests.api.service import KEY, MODEL, Service, assert_problem
from tests.photos import jpeg
from tests.waiting import wait_for


def _batch(service: Service, number: int) -> Any:
    return service.client.post("/v1/batches", files=[("files", (f"{at}.jpg", jpeg())) for at in range(number)])


@pytest.fixture
def narrow(make_service: MakeService) -> Service:
    """A service in which five jobs may wait."""
    return make_service(api_key=KEY, queue_max=5)


def test_one_more_than_may_wait_is_refused_before_its_body_is_looked_at(narrow: Service) -> None:
    ids = [narrow.queued(jpeg()) for _ in range(5)]
    problem = assert_problem(narrow.submit(b"not even an image"), 503, "queue-full")
    assert "5 images may wait" in problem["detail"]
    assert_problem(narrow.client.post("/predict", files={"file": ("a.jpg", jpeg())}), 503, "queue-full")
    assert sorted(narrow.stored()) == sorted(narrow.waiting_ids()) == sorted(ids)


def test_of_many_at_once_no_more_get_in_than_may_wait(narrow: Service) -> None:
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: narrow.submit(jpeg()).status_code, range(40)))
    assert sorted(set(answers)) == [202, 503]
    assert answers.count(202) == len(narrow.waiting_ids()) == len(narrow.stored()) <= 5


def test_there_is_room_again_once_the_line_is_shorter(narrow: Service) -> None:
    for _ in range(5):
        narrow.queued(jpeg())
    line = narrow.app.state.services.line
    wait_for(lambda: line.depth(MODEL) == 5, "the jobs to stand in the line")
    assert_problem(narrow.submit(jpeg()), 503, "queue-full")
    line.take(MODEL, 2)
    assert narrow.submit(jpeg()).status_code == 202


def test_a_batch_has_to_fit_as_a_whole(narrow: Service) -> None:
    narrow.queued(jpeg())
    assert_problem(_batch(narrow, 5), 503, "queue-full")
    assert len(narrow.waiting_ids()) == len(narrow.stored()) == 1
    assert _batch(narrow, 3).status_code == 202


def test_when_to_come_back_is_reckoned_from_what_the_workers_do(narrow: Service) -> None:
    for _ in range(5):
        narrow.queued(jpeg())
    assert narrow.submit(jpeg()).headers["Retry-After"] == "60"  # nobody knows
    presence = narrow.app.state.services.presence
    presence.beat(MODEL, "worker", Note(7.5, {}, {}))
    assert narrow.submit(jpeg()).headers["Retry-After"] == "8"
    presence.beat(MODEL, "another", Note(7.5, {}, {}))
    assert narrow.submit(jpeg()).headers["Retry-After"] == "4"


def test_a_line_that_does_not_move_takes_nothing_more(make_service: MakeService) -> None:
    service = make_service(api_key=KEY, queue_max_age_seconds=600)
    job_id = service.queued(jpeg())
    assert service.submit(jpeg()).status_code == 202
    _age(service, job_id, timedelta(seconds=660))
    service.app.state.services.backlog._looked_at = float("-inf")
    problem = assert_problem(service.submit(jpeg()), 503, "queue-full")
    assert "660 s" in problem["detail"]


def test_without_redis_sql_counts(narrow: Service, redis_server: Any) -> None:
    for _ in range(5):
        narrow.queued(jpeg())
    redis_server.kill()
    try:
        assert_problem(narrow.submit(jpeg()), 503, "queue-full")
    finally:
        redis_server.start()


def test_a_batch_that_would_never_fit_is_not_told_to_come_back(narrow: Service) -> None:
    answer = _batch(narrow, 6)
    assert_problem(answer, 413, "upload-too-large")
    assert "Retry-After" not in answer.headers
    assert narrow.is_empty()


def test_a_retry_needs_room_too(narrow: Service) -> None:
    job_id = narrow.queued(jpeg())
    narrow.client.post(f"/v1/jobs/{job_id}/cancel")
    others = [narrow.queued(jpeg()) for _ in range(5)]
    assert_problem(narrow.client.post(f"/v1/jobs/{job_id}/retry"), 503, "queue-full")
    assert sorted(narrow.waiting_ids()) == sorted(others)


def _age(service: Service, job_id: str, age: timedelta) -> None:
    older = sa.update(jobs).where(jobs.c.id == job_id).values(queued_at=clock(-age.total_seconds()))
    service.database.write(lambda connection: connection.execute(older))
