"""The list of jobs: newest first, page by page, each job once, whatever arrives meanwhile."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.conftest import MakeService
from tests.api.service import KEY, Service, assert_problem
from tests.photos import jpeg

_OTHER_KEY = "Z7qL2pX9wE4rT6yU1iO3aS5dF8gH0jKm"


def _pages(service: Service, path: str, between: Any = lambda: None) -> list[list[str]]:
    pages = []
    following: str | None = path
    while following:
        answer = service.client.get(following)
        assert answer.status_code == 200, answer.text
        pages.append([job["id"] for job in answer.json()["jobs"]])
        following = answer.json()["next"]
        assert answer.headers.get("Link", "") == (f'<{following}>; rel="next"' if following else "")
        between()
    return pages


def test_pages_hold_each_job_once_newest_first_while_others_arrive(service: Service) -> None:
    ids = [service.queued(jpeg()) for _ in range(11)]
    pages = _pages(service, "/v1/jobs?limit=4", lambda: service.queued(jpeg()))
    assert [len(page) for page in pages] == [4, 4, 3]
    assert [id_ for page in pages for id_ in page] == ids[::-1]


def test_a_job_erased_meanwhile_does_not_shift_the_others(service: Service) -> None:
    ids = [service.queued(jpeg()) for _ in range(6)]
    first = service.client.get("/v1/jobs?limit=2").json()
    service.client.delete(f"/v1/jobs/{ids[4]}")
    assert [job["id"] for job in service.client.get(first["next"]).json()["jobs"]] == [ids[3], ids[2]]
    assert ids[4] not in [id_ for page in _pages(service, "/v1/jobs") for id_ in page]


@pytest.mark.parametrize("status", ["queued", "running", "succeeded", "failed", "canceled"])
def test_a_list_by_status_shows_those_and_no_others(status: str, service: Service) -> None:
    made = {name: service.queued(jpeg()) for name in ("queued", "succeeded", "failed", "canceled")}
    service.answer(made["succeeded"])
    service.answer(made["failed"], code="image-undecodable")
    service.client.post(f"/v1/jobs/{made['canceled']}/cancel")
    assert _pages(service, f"/v1/jobs?status={status}") == [[made[status]] if status in made else []]


def test_a_list_by_time_begins_and_ends_where_it_is_told(service: Service) -> None:
    ids = [service.queued(jpeg()) for _ in range(3)]
    middle = service.job(ids[1]).received_at
    first, last = (moment.isoformat().replace("+00:00", "Z") for moment in (middle, middle + timedelta(microseconds=1)))
    assert _pages(service, f"/v1/jobs?created_after={first}") == [ids[:0:-1]]
    assert _pages(service, f"/v1/jobs?created_before={first}") == [ids[:1]]
    assert _pages(service, f"/v1/jobs?created_after={first}&created_before={last}") == [[ids[1]]]


def test_filters_go_on_from_page_to_page(service: Service) -> None:
    ids = [service.queued(jpeg()) for _ in range(5)]
    service.answer(*ids[1:4])
    since = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    pages = _pages(service, f"/v1/jobs?status=succeeded&model=leaf-health&limit=1&created_after={since}")
    assert pages == [[ids[3]], [ids[2]], [ids[1]]]
    assert _pages(service, "/v1/jobs?model=another") == [[]]


def test_a_caller_sees_only_its_own_jobs(make_service: MakeService) -> None:
    service = make_service(api_key=f"{KEY},{_OTHER_KEY}")
    mine = service.queued(jpeg())
    theirs = service.submit(jpeg(), **{"X-API-Key": _OTHER_KEY}).json()["id"]
    assert _pages(service, "/v1/jobs") == [[mine]]
    for method, path in [("GET", ""), ("GET", "/events"), ("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")]:
        assert_problem(service.client.request(method, f"/v1/jobs/{theirs}{path}"), 404, "unknown-job")
    assert service.job(theirs).status == "queued"


def test_on_its_own_machine_without_keys_everybodys_jobs_are_listed(make_service: MakeService) -> None:
    closed = make_service(api_key=KEY)
    job_id = closed.queued(jpeg())
    opened = make_service(key=None)
    assert _pages(opened, "/v1/jobs") == [[job_id]]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "status=done", "cursor=x", "batch=x", "created_after=2026-01-01T00:00:00",
     "created_before=soon", "created_before=0.5", "created_after=1700000000", "state=queued", "model=" + "x" * 101],
)  # fmt: skip
def test_a_list_that_cannot_be_made_is_refused_rather_than_another_shown(query: str, service: Service) -> None:
    assert_problem(service.client.get(f"/v1/jobs?{query}"), 400, "malformed-request")


def test_tickets_in_a_list_know_their_places(service: Service) -> None:
    ids = [service.queued(jpeg()) for _ in range(3)]
    services = service.app.state.services
    services.line.join([service.job(id_).queued() for id_ in ids])
    listed = {job["id"]: job["position"] for job in service.client.get("/v1/jobs").json()["jobs"]}
    assert listed == {id_: place for place, id_ in enumerate(ids)}
