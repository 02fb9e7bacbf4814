"""The whole service as real processes on loopback, each of which a test may kill and start again."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import sqlalchemy as sa

from shared.database import Database, migrate
from shared.settings import Settings
from shared.tables import jobs
from tests.redis_server import RedisServer
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[1]
_START_SECONDS = 100
_EVERYTHING = ("redis", "api", "courier", "worker")
_FAST = {"LEASE_SECONDS": "3", "AUDIT_SECONDS": "0.2", "LOG_LEVEL": "INFO"}


class Stack:
    """API, worker, courier and Redis over one state folder."""

    def __init__(self, folder: Path, redis_folder: Path, **settings: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.folder = folder
        self.redis = RedisServer(redis_folder)
        self.url = f"http://127.0.0.1:{port}"
        state = {"STATE_DIR": str(folder), "REDIS_URL": self.redis.url, "PORT": str(port), **_FAST, **settings}
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "CI") if name in os.environ}
        self._environment = {**kept, **state, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        self.settings = Settings(_env_file=None, **{name.lower(): value for name, value in state.items()})  # type: ignore[call-arg,arg-type]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        key = settings.get("API_KEY", "").split(",")[0]
        self.client = httpx.Client(base_url=self.url, timeout=90, headers={"X-API-Key": key} if key else {})

    def start(self, *names: str) -> "Stack":
        """Starts these processes (all without names) and returns when they serve; `worker2` is one more worker."""
        names = names or _EVERYTHING
        if "redis" in names:
            self.redis.start()
        migrate(self.settings.sql_url)
        warmed = self._warmed()
        for name in names:
            if name != "redis":
                self._spawn(name)
        if "api" in names:
            wait_for(self._alive, "the API to answer", _START_SECONDS)
        if "worker" in names:
            # for some seconds /readyz still counts a worker that was killed
            warm = f"the worker to be warm, see {self.folder}/worker.log"
            wait_for(lambda: self._warmed() > warmed and self.ready(), warm, _START_SECONDS)
        return self

    def have(self, *names: str) -> "Stack":
        """Sees to it that exactly these processes run (all without names), whatever a test before has left."""
        names = names or _EVERYTHING
        for name in list(self._processes):
            if name not in names or not self.runs(name):
                self._end(name)
        if "redis" not in names:
            self.redis.kill()
        running = {*self._processes, *(["redis"] if self.redis.runs else [])}
        missing = [name for name in names if name not in running]
        return self.start(*missing) if missing else self

    def change(self, **settings: str) -> None:
        """Tells processes that are started from now on something else."""
        self._environment |= settings
        self.settings = self.settings.model_copy(update={name.lower(): value for name, value in settings.items()})

    def kill(self, name: str) -> None:
        """SIGKILL to one process, its children not included."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def tell_to_stop(self, name: str) -> None:
        """SIGTERM to one process."""
        self._processes[name].terminate()

    def wait_stopped(self, name: str, seconds: float = 60) -> int:
        """The exit code of a process that was told to stop."""
        return self._processes.pop(name).wait(seconds)

    def suspend(self, name: str) -> None:
        """SIGSTOP to one process, its children not included."""
        psutil.Process(self._processes[name].pid).suspend()

    def close(self) -> None:
        """Ends everything that this stack started."""
        for name in list(self._processes):
            self._end(name)
        self.redis.kill()
        self.client.close()

    def children(self, name: str) -> list[psutil.Process]:
        """The child processes of one process: of the worker, those that hold the model."""
        return psutil.Process(self._processes[name].pid).children(recursive=True)

    def runs(self, name: str) -> bool:
        """Whether a process was started and has not ended since."""
        return name in self._processes and self._processes[name].poll() is None

    def log(self, name: str) -> str:
        """What one process printed."""
        return (self.folder / f"{name}.log").read_text()

    def forget_logs(self) -> None:
        """What was printed so far is no longer found by `log`."""
        for name in self._processes:
            os.truncate(self.folder / f"{name}.log", 0)  # processes append, so they go on at the beginning

    def ready(self) -> bool:
        """Whether /readyz says yes."""
        with contextlib.suppress(httpx.TransportError):
            return self.client.get("/readyz").status_code == 200
        return False

    def submit(self, image: bytes, name: str = "photo.jpg", **headers: str) -> dict[str, Any]:
        """The ticket for an accepted image."""
        answer = self.client.post("/v1/jobs", files={"file": (name, image)}, headers=headers)
        assert answer.status_code in (200, 202), answer.text
        return dict(answer.json())

    def ended(self, job_id: str, seconds: float = 60) -> dict[str, Any]:
        """The ticket once its job has ended."""

        def look() -> dict[str, Any] | None:
            ticket = self.client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=5"}).json()
            return ticket if ticket["status"] in ("succeeded", "failed", "canceled") else None

        return wait_for(look, f"job {job_id} to end", seconds)

    def status(self, job_id: str) -> str:
        """Where a job stands now."""
        return str(self.client.get(f"/v1/jobs/{job_id}").json()["status"])

    def wait_held(self) -> None:
        """Returns once the worker of tests.e2e has the image in hand that it holds."""
        wait_for((self.folder / "held").exists, "the worker to have the held image in hand")

    def release_held(self) -> None:
        """Lets that image go."""
        (self.folder / "release").touch()

    def forget_held(self) -> None:
        """The next such image is held again."""
        for name in ("held", "release"):
            (self.folder / name).unlink(missing_ok=True)

    def database(self) -> Database:
        """The same database, for what HTTP does not tell."""
        return Database(self.settings.sql_url)

    def lease_of(self, job_id: str) -> datetime:
        """When the lease on a running job runs out, as of now."""
        database = self.database()
        try:
            found = sa.select(jobs.c.lease_until).where(jobs.c.id == job_id)
            return database.read(lambda connection: connection.scalars(found).one())
        finally:
            database.close()

    def _end(self, name: str) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended by itself
            for child in self.children(name):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        self.kill(name)

    def _warmed(self) -> int:
        """How often a child of the worker has loaded its model."""
        log = self.folder / "worker.log"
        return log.read_text().count("model warm") if log.exists() else 0

    def _alive(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self.client.get("/livez").status_code == 200
        return False

    def _spawn(self, name: str) -> None:
        worker = self._environment.get("TEST_WORKER", "worker.app")
        commands = {
            "api": ["uvicorn", "--factory", "api.app:create_app", "--http", "api.connections:PromptHeads",
                    "--port", str(self.settings.port), "--no-access-log"],
            "worker": ["celery", "-q", "-A", worker, "worker", "--without-gossip", "--without-mingle",
                       "--without-heartbeat"],
            "courier": ["worker.courier"],
        }  # fmt: skip
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", *commands[name.rstrip("2")]],
                env=self._environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )


def kill_hard(process: psutil.Process) -> None:
    """SIGKILL, as an out-of-memory killer does it."""
    process.send_signal(signal.SIGKILL)
