"""The API as one test sees it: the real application, and a worker played by hand."""

import asyncio
import json
import warnings
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI

from api.problems import MEDIA_TYPE
from shared import jobqueries
from shared.broker import connect_redis
from shared.changes import announce
from shared.database import Database
from shared.jobs import Job, Outcome
from shared.settings import Settings
from tests.shared.make import claim, finish

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Starlette would like httpx2, which we do not need beside httpx
    from starlette.testclient import TestClient

__all__ = ["ANSWER", "KEY", "MODEL", "Exchange", "Service", "TestClient", "assert_problem", "log_lines"]

KEY = "kT9xW2mQ7vB4nR8pL1cZ6yH3sD5fG0jA"
MODEL = "leaf-health"
ANSWER: dict[str, Any] = {
    "predictions": [0.1, 0.9],
    "predicted_class": "rust",
    "confidence": 0.9,
    "probabilities": {"healthy": 0.1, "rust": 0.9},
    "verdict": {"kind": "diagnosed"},
    "model": {"name": MODEL},
    "stages_ms": {"decoded": 1.0, "inferred": 2.0},
}


@dataclass
class Service:
    """A running application with what stands behind it."""

    app: FastAPI
    settings: Settings
    client: TestClient
    database: Database

    def submit(self, image: bytes, name: str = "photo.jpg", **headers: str) -> httpx.Response:
        """Sends an image as a form."""
        answer: httpx.Response = self.client.post("/v1/jobs", files={"file": (name, image)}, headers=headers)
        return answer

    def queued(self, image: bytes) -> str:
        """The id of an accepted image."""
        answer = self.submit(image)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def answer(self, *ids: str, code: str | None = None, tell: bool = True) -> list[Outcome]:
        """Plays a worker that ends these jobs, with a result or with an error code."""
        claims = claim(self.database, *ids)
        result = None if code else ANSWER
        outcomes = finish(self.database, *(Outcome(one, result, code, code and "Said so.") for one in claims))
        if tell:
            announce(connect_redis(self.settings.redis_url), ids)
        return outcomes

    def job(self, job_id: str) -> Job:
        """The row as SQL holds it."""
        (job,) = self.database.read(lambda connection: jobqueries.get(connection, [job_id]))
        return job

    def waiting_ids(self) -> list[str]:
        """Every queued job's id."""
        return [job.id for job in self.database.read(lambda connection: jobqueries.queued_page(connection, "", 1000))]

    def stored(self) -> list[str]:
        """The names of all files in the image store, finished or not."""
        return [path.name for path in self.settings.images_dir.rglob("*") if path.is_file()]

    def is_empty(self) -> bool:
        """Whether neither table nor store holds anything."""
        return not self.stored() and not self.waiting_ids()


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The document of a refusal in the one form that every refusal has."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["code"] == code
    assert document["type"].endswith(code)
    assert document["title"].endswith(".")
    assert document["detail"]
    assert document["request_id"] == answer.headers["X-Request-ID"]
    assert "Traceback" not in answer.text
    assert 'File "' not in answer.text
    return document


@dataclass
class Exchange:
    """One request driven by hand through ASGI: what was read of its body, and what came back."""

    app: FastAPI
    http_version: str = "1.1"
    breaks_off: bool = False  # after the last chunk
    read_bytes: int = 0
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    async def run(self, path: str, headers: dict[str, str], chunks: AsyncIterator[bytes] | Sequence[bytes]) -> None:
        """Sends a POST; a body is pulled from `chunks` only when the application asks for more."""
        source = chunks if isinstance(chunks, AsyncIterator) else _each(chunks)

        async def receive() -> dict[str, Any]:
            async for chunk in source:
                self.read_bytes += len(chunk)
                return {"type": "http.request", "body": chunk, "more_body": True}
            if self.breaks_off:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                self.body += message.get("body", b"")

        scope = {
            "type": "http",
            "http_version": self.http_version,
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [
                (name.lower().encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()
            ],
            "client": ("127.0.0.1", 5000),
            "server": ("127.0.0.1", 8000),
        }
        async with asyncio.timeout(30):
            await self.app(scope, receive, send)

    def problem(self) -> dict[str, Any]:
        """The refusal that came back."""
        assert self.headers["content-type"] == MEDIA_TYPE
        document: dict[str, Any] = json.loads(self.body)
        return document


async def _each(chunks: Sequence[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def log_lines(printed: str) -> list[dict[str, Any]]:
    """Every line of a log, each of which must be one JSON object."""
    return [json.loads(line) for line in printed.splitlines() if line]
