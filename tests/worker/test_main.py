"""`python -m worker`: starts what `celery -A worker.app worker` starts, without Celery's command line."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.redis_server import RedisServer
from tests.stack import ROOT
from tests.waiting import wait_for


def _start(folder: Path, **settings: str) -> "subprocess.Popen[str]":
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "STATE_DIR": str(folder), **settings}
    with (folder / "worker.log").open("w") as output:
        command = [sys.executable, "-W", "ignore", "-m", "worker"]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output, text=True)


def test_a_worker_without_redis_is_refused_with_one_sentence(tmp_path: Path) -> None:
    assert _start(tmp_path).wait(30) == 2
    said = (tmp_path / "worker.log").read_text()
    assert said.startswith("turno: REDIS_URL is not set")
    assert said.count("\n") == 1


def test_a_worker_says_what_it_computes_with_and_ends_when_it_is_told(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    worker = _start(tmp_path, REDIS_URL=redis_server.url, WORKER_CONCURRENCY="2", WORKER_THREADS="3")
    try:
        wait_for(lambda: " ready." in (tmp_path / "worker.log").read_text(), "the worker to hear its bell")
        assert '"children": 2, "threads_each": 3' in (tmp_path / "worker.log").read_text()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    finally:
        worker.kill()
        worker.wait()
