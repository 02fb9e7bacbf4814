"""What each scope allows, and that nobody sees another's jobs."""

import pytest

from api.guard import needed_scope
from shared.jobs import Scope
from tests.api.conftest import MakeService
from tests.api.service import KEY, Service, assert_problem
from tests.photos import jpeg
from tests.shared.keys import make_key

_NOBODY = 32 * "1"
_READING = [
    ("GET", "/v1/jobs"),
    ("GET", f"/v1/jobs/{_NOBODY}"),
    ("HEAD", f"/v1/jobs/{_NOBODY}"),
    ("GET", f"/v1/jobs/{_NOBODY}/events"),
    ("GET", f"/v1/batches/{_NOBODY}"),
    ("GET", f"/v1/batches/{_NOBODY}/results.csv"),
    ("GET", "/v1/deliveries"),
    ("GET", f"/v1/deliveries/{_NOBODY}"),
    ("GET", f"/v1/jobs/{_NOBODY}/deliveries"),
]
_WRITING = [
    ("POST", "/v1/jobs"),
    ("POST", "/v1/jobs/"),
    ("PUT", "/v1/jobs/mine"),
    ("PATCH", "/v1/jobs/mine"),
    ("POST", f"/v1/jobs/{_NOBODY}/cancel"),
    ("POST", f"/v1/jobs/{_NOBODY}/retry"),
    ("DELETE", f"/v1/jobs/{_NOBODY}"),
    ("POST", "/v1/batches"),
    ("POST", f"/v1/batches/{_NOBODY}/cancel"),
    ("DELETE", f"/v1/batches/{_NOBODY}"),
    ("GET", "/v1/webhooks"),
    ("POST", "/v1/webhooks"),
    ("GET", "/v1/webhooks/default/secret"),
    ("POST", f"/v1/deliveries/{_NOBODY}/redeliver"),
    ("POST", "/predict"),
    ("POST", "/predict/"),
]
_ANYTHING = [("GET", "/v1/models"), ("GET", "/health"), ("GET", "/metrics")]


@pytest.fixture
def closed(make_service: MakeService) -> Service:
    return make_service(api_key=KEY, key=None)


@pytest.mark.parametrize("missing", [Scope.READ, Scope.WRITE])
def test_without_a_scope_what_needs_it_is_a_403_problem_that_names_it(missing: Scope, closed: Service) -> None:
    key = make_key(closed.database, {Scope.READ, Scope.WRITE} - {missing})
    for needed, requests in ((Scope.READ, _READING), (Scope.WRITE, _WRITING), (None, _ANYTHING)):
        for method, path in requests:
            answer = closed.client.request(method, path, headers=key.header, follow_redirects=False)
            if needed is not missing:
                assert answer.status_code not in (401, 403), (method, path)
            elif method == "HEAD":
                assert answer.status_code == 403
            else:
                assert missing in assert_problem(answer, 403, "scope-missing")["detail"]
    assert closed.is_empty()


def test_admin_may_do_everything(closed: Service) -> None:
    key = make_key(closed.database, {Scope.ADMIN})
    for method, path in (*_READING, *_WRITING, *_ANYTHING):
        answer = closed.client.request(method, path, headers=key.header, follow_redirects=False)
        assert answer.status_code not in (401, 403), (method, path)


def test_a_key_of_the_setting_may_read_and_write(closed: Service) -> None:
    for method, path in (*_READING, *_WRITING, *_ANYTHING):
        answer = closed.client.request(method, path, headers={"X-API-Key": KEY}, follow_redirects=False)
        assert answer.status_code not in (401, 403), (method, path)


@pytest.mark.parametrize("path", ["/v1", "/v1/later"])
def test_what_comes_later_needs_a_scope_too(path: str) -> None:
    assert needed_scope("GET", path) is Scope.READ
    assert needed_scope("POST", path) is Scope.WRITE


def test_nobody_sees_or_moves_another_keys_jobs_but_an_admin(closed: Service) -> None:
    owner, other = make_key(closed.database), make_key(closed.database)
    admin = make_key(closed.database, {Scope.ADMIN})
    job_id = closed.submit(jpeg(), **owner.header).json()["id"]
    path = f"/v1/jobs/{job_id}"
    for stranger in (other.header, {"X-API-Key": KEY}):
        for method, end in (("GET", ""), ("GET", "/events"), ("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")):
            answer = closed.client.request(method, path + end, headers=stranger)
            assert_problem(answer, 404, "unknown-job")
        assert closed.client.get("/v1/jobs", headers=stranger).json()["jobs"] == []
    for insider in (owner, admin):
        assert closed.client.get(path, headers=insider.header).json()["status"] == "queued"
        assert [job["id"] for job in closed.client.get("/v1/jobs", headers=insider.header).json()["jobs"]] == [job_id]
    assert closed.client.delete(path, headers=admin.header).status_code == 204
