"""The access log: a JSON line for each request, of the same form as all others (`shared.logs`)."""

import json
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any


class AccessLog:
    """Writes its lines by itself: through structlog each one costs three times the CPU."""

    def __init__(self, level: str) -> None:
        """Takes the name of the least level that is written."""
        self._stream = sys.stdout
        self._least = logging.getLevelNamesMapping()[level]

    def write(self, level: int, **fields: Any) -> None:
        """Writes one request's line; fields are plain strings and numbers."""
        if level < self._least:
            return
        said = {
            **fields,
            "logger": "api.access",
            "event": "request",
            "level": logging.getLevelName(level).lower(),
            "timestamp": f"{datetime.now(UTC).replace(tzinfo=None).isoformat()}Z",
        }
        with suppress(OSError, ValueError):  # a log that cannot be written stops nobody's request
            self._stream.write(f"{json.dumps(said)}\n")
            self._stream.flush()
