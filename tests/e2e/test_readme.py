"""What the README tells a newcomer to type, typed."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.stack import ROOT
from tests.waiting import wait_for

README = (ROOT / "README.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"(?:<!-- run: (\w+) -->\n)?```sh\n(.*?)```", re.DOTALL)
BLOCKS = [(how or "foreground", text.strip()) for how, text in _BLOCK.findall(README)]
_FIRST_START_SECONDS = 240  # TensorFlow converts the model, on a machine that may be busy


def test_the_readmes_commands_lead_to_a_diagnosis(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    (start,) = [text for how, text in BLOCKS if how == "background"]
    if Path(sys.prefix) != ROOT / ".venv":  # `make run` would install a second environment first
        assert start == "make run"
        start = f"exec {sys.executable} -m turno up"
    log = tmp_path / "up.log"
    with log.open("wb") as out:
        # `make test ARGS=…` would hand its ARGS on to the newcomer's make
        own = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "ARGS"))}
        environment = {**own, "PORT": port, "STATE_DIR": str(tmp_path / "var")}
        service = subprocess.Popen(
            ["bash", "-c", start], cwd=ROOT, env=environment, stdout=out, stderr=out, start_new_session=True
        )
    try:
        wait_for(lambda: "Ready: " in log.read_text() or service.poll() is not None, "Ready", _FIRST_START_SECONDS)
        answers = [_typed(text, port) for how, text in BLOCKS if how == "foreground"]
        said = [_said(text, port) for how, text in BLOCKS if how == "client"]
    finally:
        os.killpg(service.pid, signal.SIGINT)
        code = service.wait(60)
    assert answers[0]["status"] == "queued"
    assert answers[1]["result"]["predicted_class"] == "rust"
    assert answers[1]["result"]["verdict"]["kind"] == "diagnosed"
    assert [job["filename"] for job in answers[2]["jobs"]] == ["rust.jpg", "healthy.jpg"]
    assert answers[3]["predicted_class"] == "healthy"
    assert all(name in said[0] for name in ("rust.jpg", "healthy.jpg", "rust", "healthy"))
    assert code in (0, -signal.SIGINT), log.read_text()  # make ends by the signal that it was sent
    assert "Everything has stopped." in log.read_text()
    assert not _listens(port)


def test_every_make_target_that_the_readme_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"\bmake ([a-z]+)\b", "\n".join(text for _, text in BLOCKS)))
    assert named
    assert named <= set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))


def test_every_file_that_the_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []


def _typed(block: str, port: str) -> dict[str, Any]:
    return dict(json.loads(_said(block, port)))


def _said(block: str, port: str) -> str:
    command = block.replace("localhost:8000", f"localhost:{port}").replace(".venv/bin/python", sys.executable)
    environment = {**os.environ, "TURNO_URL": f"http://localhost:{port}", "TURNO_API_KEY": ""}
    shell = ["bash", "-euo", "pipefail", "-c", command]
    done = subprocess.run(shell, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout.decode()


def _listens(port: str) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/livez")
    except httpx.TransportError:
        return False
    return True
