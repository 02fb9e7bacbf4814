"""Webhooks of one test: registered, looked at, and a courier played by hand."""

from datetime import UTC, datetime
from itertools import count
from typing import Any

import httpx
import sqlalchemy as sa

from shared import outbox
from shared.hooks import Attempt
from shared.tables import deliveries
from tests.api.service import KEY, Service
from tests.photos import jpeg

NETWORKS = "127.0.0.0/8"
URL = "http://127.0.0.1:9/hook?token=s3cr3t-t0k3n"  # nobody sends anything here
_numbers = count()

# every route of one webhook, with what it is sent
ROUTES = [
    ("GET", "", None),
    ("GET", "/secret", None),
    ("POST", "/rotate", {}),
    ("POST", "/disable", None),
    ("POST", "/enable", None),
    ("POST", "/ping", None),
    ("POST", "/redeliver", {"since": "2026-01-01T00:00:00Z"}),
    ("DELETE", "", None),
]


def register(service: Service, url: str | None = None, key: str | None = None, **said: Any) -> dict[str, Any]:
    """A webhook just registered, with its secret; at an address of its own, if none is given."""
    headers = {"X-API-Key": key} if key else {}
    url = url or f"{URL}&n={next(_numbers)}"
    answer = service.client.post("/v1/webhooks", json={"url": url, **said}, headers=headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def send(service: Service, *, key: str | None = None, **fields: str) -> httpx.Response:
    """Submits an image with these fields."""
    headers = {"X-API-Key": key} if key else {}
    files = {"file": ("a.jpg", jpeg())}
    answer: httpx.Response = service.client.post("/v1/jobs", files=files, data=fields, headers=headers)
    return answer


def queued(service: Service, key: str | None = None, **fields: str) -> str:
    """The id of a job that tells its own address of its end."""
    answer = send(service, key=key, **{"webhook_url": URL, **fields})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def send_batch(service: Service, count: int = 2, **fields: str) -> dict[str, Any]:
    """A batch of so many images, accepted."""
    files = [("files", (f"{number}.jpg", jpeg())) for number in range(count)]
    answer = service.client.post("/v1/batches", files=files, params={"webhook_url": URL, **fields})
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def log(service: Service, path: str = "/v1/deliveries", key: str | None = None) -> list[dict[str, Any]]:
    """The deliveries on a page, newest first."""
    answer = service.client.get(path, headers={"X-API-Key": key} if key else {})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["deliveries"])


def told(service: Service, job_id: str) -> list[str]:
    """The events that were written for a job, oldest first."""
    return [one["event"] for one in reversed(log(service, f"/v1/jobs/{job_id}/deliveries"))]


def payloads(service: Service) -> dict[str, str | None]:
    """What each delivery says, by its id."""
    rows = service.database.read(lambda it: it.execute(sa.select(deliveries.c.id, deliveries.c.payload)).all())
    return {row.id: row.payload for row in rows}


def tried(service: Service, delivery_id: str, status: int = 204) -> None:
    """Plays a courier that gives up after one attempt, unless it was answered 2xx."""
    now = datetime.now(UTC)
    error = None if 200 <= status < 300 else f"answered {status}"
    attempt = Attempt(now, 12.5, status, error, "Said so." if error else None)

    def move(connection: sa.Connection) -> None:
        (taken,) = outbox.take(connection, [delivery_id], now, now)
        assert outbox.record(connection, taken, attempt, None)

    service.database.write(move)


def delivery_of(service: Service, **fields: str) -> str:
    """The id of one that is due, of a job just ended."""
    job_id = queued(service, **fields)
    service.answer(job_id)
    (found,) = log(service, f"/v1/jobs/{job_id}/deliveries")
    return str(found["id"])


def look(service: Service, delivery_id: str) -> dict[str, Any]:
    """A delivery with its attempts and what it says."""
    return dict(service.client.get(f"/v1/deliveries/{delivery_id}").json())


def ask(service: Service, id_: str, route: tuple[str, str, Any], headers: dict[str, str] | None = None) -> Any:
    """What a route of this webhook answers."""
    method, end, body = route
    return service.client.request(method, f"/v1/webhooks/{id_}{end}", json=body, headers=headers)


def listed(service: Service, key: str = KEY) -> list[str]:
    """The ids of the webhooks that a key sees."""
    answer = service.client.get("/v1/webhooks", headers={"X-API-Key": key})
    return [one["id"] for one in answer.json()["webhooks"]]
