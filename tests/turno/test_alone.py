"""One process alone, as a container runs it: the same command lines, without a supervisor."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.redis_server import RedisServer
from tests.turno.conftest import Start
from tests.waiting import wait_for

KEY = "Qm3vX8rT5yLw2nHb7kPz4sDf9gJc6aVe"


@pytest.mark.parametrize("name", ["api", "courier"])
def test_alone_a_process_needs_a_redis_of_somebody_elses(start: Start, name: str) -> None:
    refused = start("-m", "turno", name)
    assert refused.process.wait(40) == 2
    assert refused.output.startswith("turno: REDIS_URL is not set")


@pytest.mark.parametrize(
    ("settings", "sentence"), [({"HOST": "0.0.0.0"}, "HOST is 0.0.0.0"), ({"API_KEY": "short"}, "API_KEY")]
)
def test_the_api_alone_says_in_one_sentence_why_it_does_not_start(
    start: Start, settings: dict[str, str], sentence: str
) -> None:
    refused = start("-m", "turno", "api", REDIS_URL="redis://127.0.0.1:1/0", **settings)
    assert refused.process.wait(40) == 2
    assert refused.output.startswith(f"turno: {sentence}")
    assert len(refused.output.splitlines()) == 1


def test_the_api_alone_makes_its_tables_and_takes_uploads(
    start: Start, redis_server: RedisServer, free_port: int
) -> None:
    api = start("-m", "turno", "api", REDIS_URL=redis_server.url, API_KEY=KEY)
    wait_for(lambda: _healthy(free_port) == (0, "ok"), "the API to be healthy", 40)
    image = (Path(__file__).parents[2] / "api/static/examples/rust.jpg").read_bytes()
    with httpx.Client(base_url=f"http://127.0.0.1:{free_port}", headers={"X-API-Key": KEY}) as client:
        assert client.post("/v1/jobs", files={"file": ("rust.jpg", image)}).status_code == 202
    code, said = _healthy(free_port, "--ready")  # nobody is there to work
    assert (code, said) == (1, "no worker has its model warm yet")
    assert api.end() in (0, -2)


def test_an_api_without_its_database_is_not_healthy(
    start: Start, redis_server: RedisServer, free_port: int, tmp_path: Path
) -> None:
    start("-m", "turno", "api", REDIS_URL=redis_server.url)
    wait_for(lambda: _healthy(free_port) == (0, "ok"), "the API to be healthy", 40)
    for file in (tmp_path / "var").glob("turno.sqlite*"):
        file.write_bytes(b"overwritten by somebody" * 1000)
    wait_for(lambda: _healthy(free_port)[0] == 1, "the API to notice", 20)
    assert "database" in _healthy(free_port)[1]


def test_where_nothing_listens_nothing_is_healthy(free_port: int) -> None:
    code, said = _healthy(free_port)
    assert code == 1
    assert said.startswith("the API does not answer")


def test_a_courier_beats_while_its_rounds_succeed(
    start: Start, redis_server: RedisServer, tmp_path: Path, short_folder: Path
) -> None:
    migrated = start("-m", "turno", "migrate")
    assert migrated.process.wait(40) == 0
    own = RedisServer(short_folder)
    own.start()
    beat = tmp_path / "beat"
    courier = start("-m", "turno", "courier", REDIS_URL=own.url, AUDIT_SECONDS="0.1", BEAT_FILE=str(beat))
    wait_for(beat.exists, "the first beat", 40)
    own.kill()
    wait_for(lambda: "a step of the courier failed" in courier.output, "the courier to notice")
    beat.unlink()
    rounds = courier.output.count("a step of the courier failed")
    wait_for(lambda: courier.output.count("a step of the courier failed") > rounds + 3, "three more rounds")
    assert not beat.exists()
    own.start()
    wait_for(beat.exists, "the beat to come back")
    own.kill()
    assert courier.end() == 0


def _healthy(port: int, *flags: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "api.health", str(port), *flags],
        env={**os.environ, "http_proxy": "http://127.0.0.1:9"},  # as Docker hands its own on to every container
        capture_output=True, text=True, timeout=20, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stderr == ""
    return done.returncode, done.stdout
