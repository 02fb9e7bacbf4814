"""The access log goes where all logs go, and stops nobody's request where it cannot."""

import io
import logging
import sys
from pathlib import Path

import pytest

from api.accesslog import AccessLog
from tests.api.service import log_lines


def test_a_line_says_who_writes_it_and_how_grave_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    log = AccessLog("INFO")
    log.write(logging.DEBUG, status=200)
    log.write(logging.WARNING, status=503)
    (line,) = log_lines(capsys.readouterr().out)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "request", "logger": "api.access", "level": "warning", "status": 503}


def test_a_log_without_room_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("wb", buffering=0) as device:
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(device, write_through=True))
        AccessLog("INFO").write(logging.INFO, status=202)
