"""`turno listen` as a real process, and messages as Turno sends them."""

import json
import re
import signal
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from shared.hooks import new_secret, signed_headers
from tests.turno.conftest import Start, Started

SECRET = new_secret()
SUCCEEDED = {"id": "01a2", "status": "succeeded", "result": {"predicted_class": "oídio"}}


@dataclass
class Listening:
    """A receiver that listens."""

    started: Started
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    def post(self, body: str, message_id: str = "01a2-3", secret: str = SECRET, at: datetime | None = None) -> int:
        headers = signed_headers(message_id, body, at or datetime.now(UTC), [secret])
        return self.send(body.encode(), headers)

    def send(self, body: bytes, headers: dict[str, str] | list[tuple[bytes, bytes]]) -> int:
        return httpx.post(self.url, content=body, headers=headers, timeout=20).status_code

    def shown(self) -> list[dict[str, Any]]:
        """The deliveries of `--json`."""
        return [json.loads(line) for line in self.started.output.splitlines() if line.startswith("{")]

    def ends_well(self) -> str:
        """What it printed until it was told to end."""
        assert self.started.end(signal.SIGTERM) == 0, self.started.output
        assert "Traceback" not in self.started.output
        assert SECRET not in self.started.output
        return self.started.output


def message(event: str = "job.succeeded", data: Any = SUCCEEDED) -> str:
    return json.dumps({"type": event, "timestamp": "2026-11-22T09:26:31Z", "data": data}, ensure_ascii=False)


def run_listener(start: Start, *arguments: str, on_terminal: bool = False, **settings: str) -> Listening:
    """Listens on a free port."""
    given = {"TURNO_WEBHOOK_SECRET": SECRET, **settings}
    started = start("-m", "turno", "listen", "--port", "0", *arguments, on_terminal=on_terminal, **given)
    started.wait_for_output("WEBHOOK_ALLOW_NETWORKS")
    found = re.search(r"webhook_url: (http://[^\r\n]+)", started.output)
    assert found
    return Listening(started, found[1])
