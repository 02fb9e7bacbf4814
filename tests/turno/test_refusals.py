"""Starts that cannot succeed: one sentence, exit code 2, no traceback."""

import os
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from shared.errors import OperatorError
from tests.turno.conftest import Start
from turno.checks import check_state_dir, only_start


def refusal(start: Start, command: str = "up", **settings: str) -> str:
    """The only line that a command prints."""
    started = start("-m", "turno", command, **settings)
    assert started.process.wait(40) == 2, started.output
    lines = started.output.splitlines()
    assert len(lines) == 1, started.output
    return lines[0].removeprefix("turno: ")


def test_a_taken_port(start: Start, free_port: int) -> None:
    with socket.create_server(("127.0.0.1", free_port)):
        said = refusal(start)
    assert said == f"Port {free_port} is in use: stop what listens there, or set PORT=…"


def test_a_second_start_on_the_same_data(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "var"
    folder.mkdir()
    with only_start(folder):
        said = refusal(start)
    assert said.startswith(f"Turno already runs on {folder} (process {os.getpid()}): ")


def test_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    for _ in range(2):
        with only_start(tmp_path):
            assert (tmp_path / "up.lock").read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize("folder", ["/proc/turno", "/dev/null/var"])
def test_a_state_folder_that_cannot_be_written(start: Start, folder: str) -> None:
    said = refusal(start, STATE_DIR=folder)
    assert said.startswith(f"The state folder {folder} cannot be written (")
    assert said.endswith("set STATE_DIR to one that can.")


def test_a_setting_that_cannot_be_used(start: Start) -> None:
    said = refusal(start, PORT="eight thousand", LOG_LEVEL="LOUD")
    assert said.startswith("These settings cannot be used: PORT or UVICORN_PORT: ")
    assert "LOG_LEVEL: " in said


def test_a_host_that_is_not_ours(start: Start) -> None:
    assert refusal(start, HOST="192.0.2.1").startswith("HOST=192.0.2.1 is not an address of this machine")


def test_a_key_that_is_too_short(start: Start) -> None:
    assert refusal(start, API_KEY="short").startswith("API_KEY holds a key of 5 characters")


def test_a_disk_that_is_nearly_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=199_000_000))
    with pytest.raises(OperatorError, match=f"{tmp_path} has 199 MB of room and 200 MB are needed"):
        check_state_dir(tmp_path)


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/turno", "sqlite:////dev/null/x", "nonsense"])
def test_a_database_that_cannot_be_used(start: Start, url: str) -> None:
    said = refusal(start, "migrate", DATABASE_URL=url)
    assert said.startswith("The database cannot be used (")
    assert said.endswith("): check DATABASE_URL.")


def test_a_database_file_that_is_none(start: Start, tmp_path: Path) -> None:
    (tmp_path / "notes.sqlite").write_text("not a database, certainly not one at all\n" * 50)
    assert "file is not a database" in refusal(start, "migrate", DATABASE_URL=f"sqlite:///{tmp_path}/notes.sqlite")


@pytest.mark.parametrize("command", ["up", "api"])
@pytest.mark.parametrize(
    ("settings", "begin"),
    [
        ({"IMAGE_STORE": "/proc/images"}, "Images cannot be kept in /proc/images"),
        (
            {"IMAGE_STORE": "s3://photos", "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "key",
             "AWS_SECRET_ACCESS_KEY": "not-to-be-told"},
            "IMAGE_STORE: s3://photos cannot be written and listed",
        ),
    ],
)  # fmt: skip
def test_an_image_store_that_cannot_be_used(start: Start, command: str, settings: dict[str, str], begin: str) -> None:
    said = refusal(start, command, REDIS_URL="redis://127.0.0.1:1/0", **settings)
    assert said.startswith(begin)
    assert "not-to-be-told" not in said
