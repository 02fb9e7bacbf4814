"""A server that speaks the job contract and does what a test tells it to; behind the real page."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from api.routes.page import mount_static, router
from tests.page.receipt import RECEIPT

KEY = "a-key-that-only-the-tests-know-0123456789"
NAMES = {
    "healthy": ("Healthy", "Sana"),
    "powdery_mildew": ("Powdery mildew", "Oídio"),
    "rust": ("Rust", "Roya"),
    "other_damage": ("Other damage", "Otro daño"),
    "not_leaf": ("Not a leaf", "No es una hoja"),
}
ADVICE = {
    "en": "This looks like {}: remove the affected leaves, keep them away from healthy plants, "
    "and have an agronomist confirm it before any treatment.",
    "es": "Parece {}: retire las hojas afectadas, aléjelas de las plantas sanas "
    "y pida a un agrónomo que lo confirme antes de cualquier tratamiento.",
}


@dataclass
class Refusal:
    """An answer that the next request of one method gets instead of its own."""

    method: str
    status: int
    code: str
    detail: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Stub:
    """What the server does; a test sets it, the page meets it."""

    url: str = ""
    key: str = ""
    hold: bool = False  # True: jobs stay in line until `release`
    checks: dict[str, str] = field(default_factory=lambda: {"worker": "ok", "line": "ok", "database": "ok"})
    bare_labels: bool = False  # a model whose card has no translations
    kind: str = "diagnosed"
    verdict: dict[str, Any] = field(default_factory=dict)  # entries beside the usual ones
    hints: list[dict[str, Any]] = field(default_factory=list)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    refusals: list[Refusal] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    down: bool = False  # every request but the page's files is cut off
    uploading: int = 0
    most_uploading: int = 0
    upload_seconds: float = 0
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    batches_by_key: dict[str, dict[str, Any]] = field(default_factory=dict)
    most_batch_bytes: int = 1_000_000_000
    retry_after_seconds: int = 1
    eta_seconds: float = 20
    looks: list[float] = field(default_factory=list)  # when a batch was asked after
    lose_answers: int = 0  # so many batches are taken, and their answers lost

    def reset(self) -> None:
        """As if just started, at the same address."""
        self.__dict__.update(Stub(url=self.url).__dict__)

    def release(self) -> None:
        """Let every job in line succeed."""
        self.hold = False
        for job in self.jobs.values():
            if job["status"] == "queued":
                finish(job, self)

    def move(self, job_id: str, position: int, eta_seconds: float | None) -> None:
        """Set a job's place in line."""
        self.jobs[job_id].update(position=position, eta_seconds=eta_seconds)

    def posts(self, path: str = "/v1/jobs") -> list[dict[str, str]]:
        """The headers of each upload so far."""
        return [headers for method, asked, headers in self.seen if (method, asked) == ("POST", path)]


def finish(job: dict[str, Any], stub: Stub) -> None:
    """Give a job the answer that its file name asks for."""
    asked = job["filename"].replace("-", "_").split(".")[0]
    best = next((name for name in NAMES if name in asked), "rust")
    probabilities = dict.fromkeys(NAMES, 0.0) | {"other_damage": 0.0195, "healthy": 0.0072, "powdery_mildew": 0.0021}
    probabilities[best] = 0.9712 if stub.kind != "uncertain" else 0.58
    english, spanish = NAMES[best]
    job.update(status="succeeded", position=None, eta_seconds=None, version=job["version"] + 2, attempt=1)
    job["timeline"] |= {"queued": 4.1, "claimed": 12.0, "decoded": 30.1, "inferred": 40.2, "stored": 44.0}
    job["result"] = {
        "filename": job["filename"],
        "predictions": list(probabilities.values()),
        "predicted_class": best,
        "confidence": probabilities[best],
        "probabilities": probabilities,
        "verdict": stub.verdict
        | {
            "kind": stub.kind,
            "class": best,
            "probability": 0.93 if stub.kind != "uncertain" else 0.52,
            "threshold": 0.7,
            "reason": "as the test asked",
            "name": {} if stub.bare_labels else {"en": english, "es": spanish},
            "advice": {}
            if stub.bare_labels
            else {k: v.format(NAMES[best][k == "es"].lower()) for k, v in ADVICE.items()},
        },
        "hints": stub.hints,
        "model": RECEIPT,
    }


def problem(
    status: int, code: str, detail: str = "", headers: dict[str, str] | None = None, more: dict[str, Any] | None = None
) -> JSONResponse:
    """An RFC 9457 answer."""
    body = {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code, "request_id": "r-1"}
    return JSONResponse(body | (more or {}), status, headers=headers, media_type="application/problem+json")


def build(stub: Stub) -> FastAPI:
    """The page and the contract around one stub."""
    from tests.page.stub_batches import add_batch_routes  # it is made of this module's parts

    app = FastAPI()
    app.include_router(router)
    add_batch_routes(app, stub)
    mount_static(app)

    @app.middleware("http")
    async def obey(request: Request, call_next: Any) -> Response:
        path = request.url.path
        if path == "/" or path.startswith("/static"):
            return await call_next(request)  # type: ignore[no-any-return]
        stub.seen.append((request.method, path, dict(request.headers)))
        if stub.down:
            return Response("<h1>Bad gateway</h1>", 502, media_type="text/html")
        if stub.key and path != "/readyz" and request.headers.get("x-api-key") != stub.key:
            return problem(401, "unauthorized", "A valid API key is needed.")
        for refusal in stub.refusals:
            if refusal.method == request.method and path.startswith(("/v1/jobs", "/v1/batches")):
                stub.refusals.remove(refusal)
                return problem(refusal.status, refusal.code, refusal.detail, refusal.headers)
        return await call_next(request)  # type: ignore[no-any-return]

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        ready = all(value == "ok" for value in stub.checks.values())
        return JSONResponse({"ready": ready, "checks": stub.checks}, 200 if ready else 503)

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        named = {k: {} if stub.bare_labels else {"en": en, "es": es} for k, (en, es) in NAMES.items()}
        labels = [{"id": k, "recognised": k != "not_leaf", "name": name, "advice": {}} for k, name in named.items()]
        return {"models": [{"name": "leaf-health", "version": "2.0.0", "labels": labels, "ready": True}]}

    @app.post("/v1/jobs", status_code=202)
    async def submit(request: Request) -> JSONResponse:
        stub.uploading += 1
        stub.most_uploading = max(stub.most_uploading, stub.uploading)
        async with request.form() as form:
            upload = form["file"]
            await upload.read()  # type: ignore[union-attr]
            name = upload.filename  # type: ignore[union-attr]
        await asyncio.sleep(stub.upload_seconds)
        stub.uploading -= 1
        job_id = f"01935000-0000-7000-8000-{len(stub.jobs) + len(stub.erased):08x}{time.monotonic_ns() % 0xFFFF:04x}"
        job = new_job(job_id, str(name), stub)
        return JSONResponse(job, 202, headers={"Location": job["urls"]["self"], "Retry-After": "1"})

    @app.get("/v1/jobs/{job_id}")
    async def ticket(job_id: str, request: Request) -> Response:
        if job_id in stub.erased:
            return problem(410, "job-erased")
        if job_id not in stub.jobs:
            return problem(404, "unknown-job")
        job = stub.jobs[job_id]
        deadline = time.monotonic() + float(request.headers.get("prefer", "wait=0").removeprefix("wait="))
        while job["status"] in ("queued", "running") and time.monotonic() < deadline and job_id in stub.jobs:
            await asyncio.sleep(0.02)
        return JSONResponse(job, headers={"Retry-After": "1"})

    @app.delete("/v1/jobs/{job_id}", status_code=204)
    async def erase(job_id: str) -> Response:
        stub.jobs.pop(job_id, None)
        stub.erased.add(job_id)
        return Response(status_code=204)

    @app.post("/v1/jobs/{job_id}/cancel")
    async def cancel(job_id: str) -> JSONResponse:
        job = stub.jobs[job_id]
        if job["status"] != "queued":
            return problem(409, "move-refused", f"The job is {job['status']}.")
        job.update(status="canceled", version=job["version"] + 1, position=None, eta_seconds=None)
        return JSONResponse(job)

    @app.post("/v1/jobs/{job_id}/retry", status_code=202)
    async def retry(job_id: str) -> JSONResponse:
        job = stub.jobs[job_id]
        job.update(status="queued", run=job["run"] + 1, version=job["version"] + 1, error=None, position=0)
        if not stub.hold:
            finish(job, stub)
        return JSONResponse(job, 202)

    return app


def new_job(job_id: str, name: str, stub: Stub) -> dict[str, Any]:
    """A job taken in; finished at once unless the stub holds the line."""
    base = f"/v1/jobs/{job_id}"
    job: dict[str, Any] = {
        "id": job_id, "status": "queued", "model": "leaf-health", "priority": "interactive", "filename": name,
        "run": 1, "attempt": 0, "version": 1, "received_at": "2026-11-22T02:00:00.000Z",
        "position": sum(other["status"] == "queued" for other in stub.jobs.values()), "eta_seconds": 1.2,
        "timeline": {"received": 0}, "result": None, "error": None,
        "urls": {"self": base, "cancel": f"{base}/cancel", "retry": f"{base}/retry"},
    }  # fmt: skip
    stub.jobs[job_id] = job
    if not stub.hold:
        finish(job, stub)
    return job


@contextmanager
def running_stub() -> Iterator[Stub]:
    """A stub on a free port of this machine, served from a thread."""
    stub = Stub()
    config = uvicorn.Config(build(stub), host="127.0.0.1", port=0, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    stub.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield stub
    server.should_exit = True
    thread.join(10)
