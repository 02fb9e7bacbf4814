"""Who may ask: keys, and the open mode that is for this machine alone."""

import secrets
from pathlib import Path

import pytest

from api.app import create_app
from shared.errors import OperatorError
from shared.keys import LOCAL_CALLER, key_id
from shared.settings import Settings
from tests.api.conftest import MakeService
from tests.api.service import KEY, Exchange, Service, TestClient, assert_problem
from tests.photos import jpeg

OTHER = secrets.token_urlsafe(32)
CLOSED = ("/v1/jobs/1", "/v1/models", "/metrics", "/health", "/unknown")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": "wrong"},
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": KEY.lower()},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
    ],
)
def test_without_a_valid_key_every_closed_route_is_unauthorized(
    headers: dict[str, str], make_service: MakeService
) -> None:
    service = make_service(api_key=KEY, key=None)
    for path in CLOSED:
        answer = service.client.get(path, headers=headers)
        assert_problem(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert_problem(service.client.post("/v1/jobs", content=jpeg(), headers=headers), 401, "unauthorized")
    assert service.is_empty()


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": KEY},
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY}"},
        {"X-API-Key": OTHER},
    ],
)
def test_each_valid_key_is_taken_in_either_header(headers: dict[str, str], make_service: MakeService) -> None:
    service = make_service(api_key=f"{KEY},{OTHER}", key=None)
    answer = service.client.post("/v1/jobs", content=jpeg(), headers=headers)
    assert answer.status_code == 202
    assert service.job(answer.json()["id"]).caller == key_id(OTHER if OTHER in headers.values() else KEY)


def test_the_page_and_the_probes_are_open(make_service: MakeService) -> None:
    service = make_service(api_key=KEY, key=None)
    for path in ("/", "/docs", "/openapi.json", "/livez", "/static/style.css"):
        assert service.client.get(path).status_code == 200, path
    assert service.client.get("/readyz").status_code == 503


@pytest.mark.parametrize("path", ["/static/../v1/models", "//v1/models", "/v1/models/", "/static/%2e%2e/v1/models"])
def test_no_other_spelling_of_an_address_opens_it(path: str, make_service: MakeService) -> None:
    service = make_service(api_key=KEY, key=None)
    assert service.client.get(path).status_code in (401, 404)


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8000", "LOCALHOST", "127.0.0.1", "127.0.0.1:8000", "[::1]", "[::1]:8000"],
)
def test_without_keys_this_machine_is_served(host: str, make_service: MakeService) -> None:
    service = make_service(key=None)
    answer = service.client.post("/v1/jobs", content=jpeg(), headers={"Host": host})
    assert answer.status_code == 202
    assert service.job(answer.json()["id"]).caller == LOCAL_CALLER


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:8000",
        "192.168.1.9:8000",
        "",
        "evil]",
        "a[::1]",
    ],
)
@pytest.mark.parametrize("path", ["/", "/livez", "/v1/models"])
def test_without_keys_no_other_name_is_served(host: str, path: str, make_service: MakeService) -> None:
    service = make_service(key=None)
    assert_problem(service.client.get(path, headers={"Host": host}), 403, "host-refused")


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via"])
def test_without_keys_nobody_behind_a_proxy_is_served(header: str, make_service: MakeService) -> None:
    service = make_service(key=None)
    document = assert_problem(service.client.get("/v1/models", headers={header: "10.0.0.1"}), 403, "host-refused")
    assert "API_KEY" in document["detail"]
    assert_problem(service.client.post("/v1/jobs", content=jpeg(), headers={header: "x"}), 403, "host-refused")
    assert service.is_empty()


def test_without_keys_another_machine_is_not_served(make_service: MakeService) -> None:
    service = make_service(key=None)
    other = TestClient(service.app, "http://localhost", client=("192.168.1.9", 5000))
    assert_problem(other.get("/v1/models"), 403, "host-refused")


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost.evil.example", "null"])
def test_without_keys_another_sites_page_cannot_submit(origin: str, make_service: MakeService) -> None:
    service = make_service(key=None)
    answer = service.client.post("/v1/jobs", files={"file": ("a.jpg", jpeg())}, headers={"Origin": origin})
    assert_problem(answer, 403, "host-refused")
    assert service.is_empty()


@pytest.mark.parametrize("origin", ["http://localhost", "http://localhost:8000", "http://127.0.0.1:8000"])
def test_without_keys_our_own_page_can_submit(origin: str, make_service: MakeService) -> None:
    service = make_service(key=None)
    answer = service.client.post("/v1/jobs", files={"file": ("a.jpg", jpeg())}, headers={"Origin": origin})
    assert answer.status_code == 202


@pytest.mark.parametrize(("version", "status"), [("1.0", 403), ("1.1", 202), ("2", 202)])
def test_without_keys_a_proxy_that_adds_no_header_is_known_by_its_old_http(
    version: str, status: int, make_service: MakeService
) -> None:
    service = make_service(key=None)
    exchange = Exchange(service.app, version)
    assert service.client.portal is not None
    service.client.portal.call(exchange.run, "/v1/jobs", {"content-type": "image/jpeg"}, [jpeg()])
    assert exchange.status == status
    if status == 403:
        assert exchange.problem()["code"] == "host-refused"
        assert exchange.read_bytes == 0
        assert service.is_empty()


def test_with_a_key_any_name_and_any_proxy_will_do(service: Service) -> None:
    headers = {"Host": "turno.example", "X-Forwarded-For": "10.0.0.1"}
    assert service.client.post("/v1/jobs", content=jpeg(), headers=headers).status_code == 202


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.9", "turno.example"])
def test_listening_beyond_this_machine_without_a_key_is_refused(host: str, tmp_path: Path) -> None:
    settings = Settings(_env_file=None, host=host, redis_url="unix:///nowhere", state_dir=tmp_path)
    with pytest.raises(OperatorError, match="API_KEY"):
        create_app(settings)


def test_a_start_with_a_weak_key_or_without_redis_is_refused_in_one_sentence() -> None:
    with pytest.raises(OperatorError, match="32"):
        create_app(Settings(_env_file=None, api_key="short", redis_url="unix:///nowhere"))
    with pytest.raises(OperatorError, match="REDIS_URL"):
        create_app(Settings(_env_file=None, api_key=KEY))
