"""A service that answers as Turno does, with one thing wrong: for what real processes cannot be brought to."""

import json
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from tests.turno.faulty_server import TICKET, Answer, Asked, problem

CHECKS = dict.fromkeys(("line", "database", "images", "worker"), "ok")


@dataclass
class FakeTurno:
    """Answers a doctor."""

    title: str = "Turno"
    labels: list[str] = field(default_factory=lambda: ["healthy", "rust"])
    probabilities: dict[str, float] = field(default_factory=lambda: {"healthy": 0.1, "rust": 0.9})
    status: str = "succeeded"
    events_held: threading.Event | None = None  # all after the first
    ends_after_seconds: float | None = None  # and until then nothing is heard of the job
    prefer: bool = True
    most_bytes: int = 100_000_000
    seconds_ahead: float = 0

    def __post_init__(self) -> None:
        self._ended = threading.Event()

    def __call__(self, asked: Asked) -> Answer:
        path = urlsplit(asked.path).path
        length = int(asked.headers.get("content-length", 0))
        routes: list[tuple[str, str, Any]] = [
            ("GET", "/livez", Answer(200, {"alive": True})),
            ("GET", "/openapi.json", Answer(200, {"info": {"title": self.title, "version": "0.1.0"}})),
            ("GET", "/readyz", Answer(200, {"ready": True, "checks": CHECKS})),
            ("GET", "/v1/models", Answer(200, {"models": [self._card()]})),
            ("GET", "/v1/jobs", Answer(200, {"jobs": [], "next": None})),
            ("POST", "/v1/jobs", self._upload(length, asked.headers.get("content-type", ""))),
            ("GET", "/v1/jobs/[0-9a-f]+", self._ticket()),
            ("POST", "/v1/jobs/[0-9a-f]+/cancel", Answer(200, {**TICKET, "status": "canceled"})),
        ]
        if path == "/v1/jobs" and asked.method == "POST" and self.ends_after_seconds:
            threading.Timer(self.ends_after_seconds, self._ended.set).start()
        if "/v1/jobs/" in path and self.ends_after_seconds:
            self._ended.wait(20)
        if path.endswith("/events") and self.events_held and "last-event-id" in asked.headers:
            self.events_held.wait(20)
        elif path.endswith("/events") and self.events_held:
            return self._events({"status": "running", "result": None})
        if path.endswith("/events"):
            return self._events()
        found = next(answer for method, route, answer in routes if method == asked.method and re.fullmatch(route, path))
        assert isinstance(found, Answer)
        found.headers["Date"] = formatdate(time.time() + self.seconds_ahead, usegmt=True)
        return found

    def _card(self) -> dict[str, Any]:
        labels = [{"id": label} for label in self.labels]
        return {"name": "leaf-health", "ready": True, "labels": labels, "engine": "openvino", "workers": 1}

    def _document(self) -> dict[str, Any]:
        result = {**TICKET["result"], "probabilities": self.probabilities}
        result["predictions"] = list(self.probabilities.values())
        result["predicted_class"] = max(self.probabilities, key=lambda label: self.probabilities[label])
        return {**TICKET, "status": self.status, "result": result if self.status == "succeeded" else None}

    def _ticket(self) -> Answer:
        headers = {"Preference-Applied": "wait=1"} if self.prefer else {}
        return Answer(200, self._document(), headers)

    def _upload(self, length: int, content_type: str) -> Answer:
        if length > self.most_bytes:
            return Answer(413, text="<html>Request Entity Too Large")
        if content_type == "image/jpeg":
            return problem(415, "image-type-refused")
        return Answer(202, {**TICKET, "status": "queued", "result": None})

    def _events(self, changes: Mapping[str, Any] = MappingProxyType({})) -> Answer:
        text = f"event: ticket\nid: 3\ndata: {json.dumps({**self._document(), **changes})}\n\n"
        return Answer(200, text=text, headers={"Content-Type": "text/event-stream"})
