"""Rounds through every route, for its answers, good and bad."""

from typing import Any

from shared.jobs import Outcome
from tests.api.hooks import URL, queued, tried
from tests.api.service import Service
from tests.photos import jpeg
from tests.shared.make import claim, finish


def tour(service: Service, document: dict[str, Any]) -> None:
    """Asks every route for its answers, good and bad."""
    client, ask = service.client, service.client.get
    (example,) = document["paths"]["/v1/jobs"]["post"]["responses"]["200"]["content"]["application/json"][
        "examples"
    ].values()
    result = {**example["value"]["result"], "stages_ms": {"decoded": 1.0, "inferred": 2.0}}

    def end(job_id: str) -> None:
        finish(service.database, *(Outcome(one, result) for one in claim(service.database, job_id)))

    for path in ("/livez", "/readyz", "/health", "/metrics", "/v1/models", "/v1/jobs", "/v1/jobs?limit=0"):
        ask(path)
    key = {"Idempotency-Key": "leaf-1"}
    first = service.submit(jpeg(), **key, Prefer="respond-async").json()
    service.submit(jpeg(), **key)
    service.submit(jpeg(color=(200, 0, 0)), **key)
    here = first["urls"]["self"]
    ask(here, headers={"If-None-Match": ask(here).headers["ETag"]})
    end(first["id"])
    service.submit(jpeg(), **key)
    ask(here)
    watched = ask(first["urls"]["events"])
    ask(first["urls"]["events"], headers={"Last-Event-ID": watched.text.rpartition("id: ")[2].strip()})
    client.post(first["urls"]["cancel"])
    client.post(first["urls"]["retry"])
    other = client.put("/v1/jobs/plot-7", content=jpeg(), headers={"Content-Type": "image/jpeg"}).json()
    client.post("/v1/jobs/plot-7/cancel")
    client.post("/v1/jobs/plot-7/retry")
    finish(
        service.database,
        *(Outcome(one, None, "image-missing", "Gone.") for one in claim(service.database, other["id"])),
    )
    client.delete("/v1/jobs/plot-7")
    for path in ("/v1/jobs/plot-7", "/v1/jobs/plot-7/events", "/v1/jobs/unknown", "/v1/jobs/unknown/events"):
        ask(path)
    for refused in (b"GIF89a", b"", jpeg()[:-200]):
        service.submit(refused)
    client.post("/v1/jobs", data={"colour": "green"}, files={"file": jpeg()})
    client.post("/v1/jobs?model=other", content=jpeg())
    service.submit(jpeg())
    ask("/v1/jobs?limit=1")
    client.post("/predict", files={"file": jpeg()}, headers={"X-API-Key": "wrong"})
    client.post("/predict", data={"priority": "first"}, files={"file": jpeg()})
    _tour_of_batches(service, end)
    _tour_of_webhooks(service)


def _tour_of_batches(service: Service, end: Any) -> None:
    client, ask = service.client, service.client.get
    files = [("files", ("leaf.jpg", jpeg())), ("files", ("README.md", b"no image")), ("files", ("b.jpg", jpeg()))]
    batch = client.post("/v1/batches", files=files, headers={"Idempotency-Key": "b"}).json()
    client.post("/v1/batches", files=files, headers={"Idempotency-Key": "b"})
    client.post("/v1/batches", files=files[:1], headers={"Idempotency-Key": "b"})
    client.post("/v1/batches", files=files[1:2])
    client.post("/v1/batches", content=b"no form")
    end(batch["jobs"][0]["id"])
    for url in batch["urls"].values():
        client.post(url) if url.endswith("cancel") else ask(url)
    ask(batch["urls"]["results"])
    for path in (batch["urls"]["self"], "/v1/batches/unknown"):
        client.delete(path)
        ask(path)
        ask(f"{path}/results")
        ask(f"{path}/results.csv")
        client.post(f"{path}/cancel")
    ask(batch["urls"]["jobs"])


def _tour_of_webhooks(service: Service) -> None:
    client, ask = service.client, service.client.get
    for said in ({"url": URL}, {"url": "ftp://example.com"}, {"url": 5}, {"url": URL, "secret": "x" * 20_000}):
        client.post("/v1/webhooks", json=said)
    (webhook,) = ask("/v1/webhooks").json()["webhooks"]
    job_id = queued(service, webhook_events="job.started,job.succeeded")
    service.answer(job_id)
    delivery = ask(f"/v1/jobs/{job_id}/deliveries").json()["deliveries"][0]
    tried(service, delivery["id"], 500)
    for path in ("/v1/deliveries?limit=1", "/v1/deliveries?state=lost", "/v1/deliveries?job=" + job_id):
        ask(path)
    client.post(delivery["urls"]["redeliver"])
    client.delete(f"/v1/jobs/{job_id}")
    for path in (f"/v1/deliveries/{delivery['id']}", "/v1/deliveries/unknown"):
        ask(path)
        client.post(f"{path}/redeliver")
    for id_ in (webhook["id"], "unknown"):
        here = f"/v1/webhooks/{id_}"
        for end in ("enable", "ping", "disable", "ping"):
            client.post(f"{here}/{end}")
        for said in ({"since": "2026-01-01T00:00:00Z"}, {}):
            client.post(f"{here}/redeliver", json=said)
            client.post(f"{here}/rotate", json=said)
        client.post(f"{here}/rotate", json={"overlap_seconds": 0})
        ask(f"{here}/secret")
        ask(here)
        client.delete(here)
