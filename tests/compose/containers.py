"""A compose project of its own: brought up, looked into, broken and taken down, on whatever Docker answers."""

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import httpx

from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]
SECRETS = ("API_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD")
_READY_SECONDS = 180
_OF_THE_HOST = ("PATH", "HOME", "DOCKER_", "COMPOSE_")  # no other setting of this machine reaches the stack


class Failed(AssertionError):
    """A command of Docker's failed; its last words are the message."""


def run(*command: str, environment: dict[str, str] | None = None, seconds: float = 120) -> str:
    """What the command printed.

    Raises:
        Failed: it ended with an error.
    """
    done = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Failed(f"{' '.join(command)}: {' | '.join(said[-8:])[-1500:]}")
    return done.stdout.strip()


def docker_answers() -> bool:
    """Whether there is a Docker here to try the containers on."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(["docker", "info"], capture_output=True, timeout=30, check=False).returncode == 0
    return False


class Containers:
    """The compose file, brought up under a name, a port and secrets of its own."""

    def __init__(self, **settings: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.project = f"turno-test-{secrets.token_hex(3)}"
        self.key = secrets.token_hex(32)
        kept = {name: value for name, value in os.environ.items() if name.startswith(_OF_THE_HOST)}
        made = {name: secrets.token_hex(32) for name in SECRETS} | {"API_KEY": self.key, "PORT": str(self.port)}
        self.environment = {**kept, **made, **settings}
        self._nothing = Path(tempfile.mkdtemp()) / "nothing.env"  # else a .env of this folder would be read
        self._nothing.touch()
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", headers={"X-API-Key": self.key}, timeout=60
        )

    def compose(self, *arguments: str, seconds: float = 300) -> str:
        """What docker-compose printed; see `run`."""
        whole = (*_compose_program(), "--project-name", self.project, "--env-file", str(self._nothing))
        return run(*whole, *arguments, environment=self.environment, seconds=seconds)

    def up(self, *arguments: str, **settings: str) -> None:
        """Brings up what is not up, or not as these settings want it."""
        self.environment.update(settings)
        self.compose("up", "--detach", *arguments)

    def down(self) -> None:
        """Removes containers, networks and volumes."""
        self.client.close()
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "20")
        shutil.rmtree(self._nothing.parent)

    def wait_ready(self) -> None:
        """Returns once /readyz says so."""

        def ready() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return self.client.get("/readyz").status_code == 200
            return False

        wait_for(ready, f"{self.project} to be ready", _READY_SECONDS)

    def ids(self, service: str = "") -> list[str]:
        """The containers of one service, or all."""
        return self.compose("ps", "--quiet", *([service] if service else [])).split()

    def inspect(self, container: str) -> dict[str, dict[str, object]]:
        """What Docker knows of a container."""
        return dict(json.loads(run("docker", "inspect", container))[0])

    def execute(self, service: str, *command: str) -> str:
        """What a command printed inside the first container of a service."""
        return run("docker", "exec", self.ids(service)[0], *command)

    def sql(self, query: str) -> list[list[str]]:
        """Rows of a query, columns as text."""
        printed = self.execute("postgres", "psql", "-U", "turno", "-d", "turno", "-Atc", query)
        return [line.split("|") for line in printed.splitlines()]

    def wait_healthy(self) -> None:
        """Returns once every container runs and is healthy."""

        def healthy() -> bool:
            states = [self.inspect(container)["State"] for container in self.ids()]
            return all(state["Running"] and state["Health"]["Status"] == "healthy" for state in states)  # type: ignore[index]

        wait_for(healthy, f"every container of {self.project} to be healthy", _READY_SECONDS)


def _compose_program() -> tuple[str, ...]:
    second = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    if second or shutil.which("docker-compose") is None:
        return ("docker", "compose")
    return ("docker-compose",)
