"""`turno predict`: photos in, answers out; what is skipped, refused or interrupted is said."""

import csv
import io
import json
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import shared_stack
from tests.photos import jpeg
from tests.stack import ROOT, Stack
from tests.turno.commands import Ran, command, environment, run
from tests.turno.conftest import Start
from tests.turno.faulty_server import TICKET, Answer, FaultyServer, problem
from tests.waiting import wait_for

EXAMPLES = ROOT / "api" / "static" / "examples"
KEY = "kT9xW2mQ7vB4nR8pL1cZ6yH3sD5fG0jA"
OTHERS = [secrets.token_hex(16) for _ in range(2)]  # keys of callers who have no jobs yet


@pytest.fixture(scope="module")
def service(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """One for all tests, of which each says what runs of it."""
    with shared_stack(request, API_KEY=",".join([KEY, *OTHERS])) as stack:
        yield stack


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    shutil.copy(EXAMPLES / "rust.jpg", folder / "rust.jpg")
    shutil.copy(EXAMPLES / "healthy.jpg", folder / "named-by-nobody")
    shutil.copy(EXAMPLES / "healthy.jpg", folder / "below" / "deep.JPG")
    (folder / "notes.txt").write_text("no photo")
    (folder / ".hidden").write_text("neither")
    (folder / "torn.jpg").write_bytes((EXAMPLES / "rust.jpg").read_bytes()[:500])
    return folder


def refusal(ran: Ran) -> str:
    assert ran.returncode == 2, ran.stderr
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr
    return ran.stderr


@pytest.mark.parametrize("names", [["rust.jpg"], ["rust.jpg", "named-by-nobody"]])
def test_an_interruption_says_what_goes_on_and_where(service: Stack, photos: Path, names: list[str]) -> None:
    stack = service.have("redis", "api")
    stack.forget_logs()
    own = {"X-API-Key": OTHERS[len(names) - 1]}
    process = subprocess.Popen(
        command("predict", *(photos / name for name in names)),
        env=environment(TURNO_URL=stack.url, TURNO_API_KEY=own["X-API-Key"]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def waiting() -> list[str]:
        return [job["id"] for job in stack.client.get("/v1/jobs", headers=own).json()["jobs"]]

    wait_for(lambda: len(waiting()) == len(names), "the jobs to be accepted")
    wait_for(lambda: '"method": "POST"' in stack.log("api"), "the command to be answered")
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    (route,) = re.findall(rf'"({stack.url}.+)"$', said, re.MULTILINE)
    assert stack.client.get(route.removeprefix(stack.url), headers=own).status_code == 200
    left = [stack.client.get(f"/v1/jobs/{job_id}", headers=own).json()["status"] for job_id in waiting()]
    assert left == ["queued"] * len(names)


def test_photos_are_answered_by_the_service(service: Stack, photos: Path, start: Start) -> None:
    stack = service.have()
    remote = {"TURNO_URL": stack.url, "TURNO_API_KEY": KEY}

    one = run("predict", photos / "rust.jpg", folder=photos, **remote)
    assert one.returncode == 0, one.stderr
    assert one.stdout.splitlines()[1].split()[1:] == ["rust", *one.stdout.split()[-2:]]
    assert one.stderr == ""

    many = run("predict", photos, "--recursive", "--csv", "-", "--json", "out.json", folder=photos, **remote)
    rows = {Path(row["filename"]).name: row for row in csv.DictReader(io.StringIO(many.stdout))}
    assert {name: (row["status"], row["predicted_class"]) for name, row in rows.items()} == {
        "deep.JPG": ("succeeded", "healthy"),
        "named-by-nobody": ("succeeded", "healthy"),
        "rust.jpg": ("succeeded", "rust"),
        "torn.jpg": ("refused", ""),
    }
    assert float(rows["rust.jpg"]["p:rust"]) == float(rows["rust.jpg"]["confidence"]) > 0.5
    assert many.returncode == 1  # one has no answer, and is named with the reason
    assert f"turno: {photos / 'torn.jpg'}: image-undecodable: " in many.stderr
    assert f"turno: {photos / 'notes.txt'} is skipped" in many.stderr
    assert ".hidden" not in many.stderr
    written = {Path(row["filename"]).name: row for row in json.loads((photos / "out.json").read_text())}
    assert written["rust.jpg"]["probabilities"]["rust"] == float(rows["rust.jpg"]["p:rust"])
    assert written["torn.jpg"]["error"] == "image-undecodable"

    torn = run("predict", photos / "torn.jpg", folder=photos, **remote)
    assert torn.returncode == 1
    assert "torn.jpg: image-undecodable: " in torn.stderr

    seen = start("-m", "turno", "predict", str(photos), on_terminal=True, **remote)
    assert seen.process.wait(60) == 1
    wait_for(lambda: "diagnosed" in seen.output, "the table")
    assert "answered" in seen.output  # the bar's name; nobody looked on above, and there was none


def test_nobody_there(tmp_path: Path, photos: Path) -> None:
    said = refusal(run("predict", photos / "rust.jpg", "--url", "http://127.0.0.1:1/", folder=tmp_path))
    assert "http://127.0.0.1:1 cannot be reached" in said


@pytest.mark.parametrize(
    ("code", "advice"), [("unauthorized", "TURNO_API_KEY"), ("scope-missing", "jobs:write"), ("queue-full", "later")]
)
def test_a_refusal_says_what_to_do(server: FaultyServer, photos: Path, code: str, advice: str) -> None:
    status = {"unauthorized": 401, "scope-missing": 403, "queue-full": 503}[code]
    server.answer(problem(status, code, Retry_After="3600"))
    for paths in ([photos / "rust.jpg"], [photos]):
        assert advice in refusal(run("predict", *paths, "--url", server.url, folder=photos))


def test_what_cannot_be_done_is_said_before_anything_is_sent(server: FaultyServer, photos: Path) -> None:
    server.answer(Answer(202, TICKET))
    remote = {"TURNO_URL": server.url}
    assert "There is no PNG or JPEG" in refusal(run("predict", photos / "notes.txt", folder=photos, **remote))
    nowhere = ("--csv", photos / "no" / "such" / "folder.csv")
    assert "cannot be written" in refusal(run("predict", photos, *nowhere, folder=photos, **remote))
    same = ("--csv", "-", "--json", "-")
    assert "the same place" in refusal(run("predict", photos, *same, folder=photos, **remote))
    assert "must begin with http" in refusal(run("predict", photos, folder=photos, TURNO_URL="localhost:8000"))
    assert server.asked == []


def test_a_name_that_is_a_command_of_a_terminal_or_a_spreadsheet_is_not_obeyed(
    server: FaultyServer, tmp_path: Path
) -> None:
    evil = tmp_path / "=cmd()\x1b[2J.jpg"
    evil.write_bytes(jpeg())
    server.answer(Answer(202, TICKET))
    table = run("predict", evil.name, folder=tmp_path, TURNO_URL=server.url)
    assert table.returncode == 0, table.stderr
    assert "\x1b" not in table.stdout
    sheet = run("predict", evil.name, "--csv", "-", folder=tmp_path, TURNO_URL=server.url)
    assert sheet.stdout.splitlines()[1].startswith("'=cmd()")
