"""`turno keys`, as the person at the terminal uses it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from shared.errors import OperatorError
from tests.conftest import ON_EVERY_DATABASE
from tests.turno.conftest import Start
from tests.turno.test_refusals import refusal
from turno.cli import app

Turno = Callable[..., Result]


@pytest.fixture
def keys(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Turno:
    """Runs `turno keys …` on a database that nobody has prepared."""
    monkeypatch.chdir(tmp_path)  # no .env here
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("DATABASE_URL", database_url)

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(app, ["keys", *arguments])
        if isinstance(result.exception, OperatorError):
            raise result.exception
        return result

    return run


def listed(keys: Turno) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(keys("list", "--json").stdout)
    return found


def made(keys: Turno, *arguments: str) -> tuple[str, str]:
    """The id and the secret of a new key."""
    before = {one["id"] for one in listed(keys)}
    secret = keys("create", "--name", "of a test", *arguments).stdout.strip()
    (key_id,) = {one["id"] for one in listed(keys)} - before
    return key_id, secret


@ON_EVERY_DATABASE
def test_a_key_is_shown_once_and_listed_without_its_secret(keys: Turno) -> None:
    assert listed(keys) == []
    created = keys("create", "--name", " Field app ñ ", "--scope", "jobs:write", "--rate", "600/min", "--quota", "0")
    secret = created.stdout.strip()
    assert secret.startswith("turno_")
    (one,) = listed(keys)
    assert one["id"] in created.stderr
    assert secret not in created.stderr
    assert (one["name"], one["scopes"]) == ("Field app ñ", ["jobs:write"])
    assert (one["rate_per_minute"], one["images_per_day"]) == (600, 0)
    shown = keys("list").stdout
    assert one["id"] in shown
    assert "600/min" in shown
    assert secret not in shown + keys("list", "--json").stdout


def test_what_is_not_said_is_left_to_the_settings(keys: Turno) -> None:
    made(keys)
    (one,) = listed(keys)
    assert one["scopes"] == ["jobs:read", "jobs:write"]
    assert (one["rate_per_minute"], one["images_per_day"]) == (None, None)


def test_a_name_is_shown_as_it_is(keys: Turno) -> None:
    keys("create", "--name", "[bold]x[/bold]")
    assert "[bold]x[/bold]" in keys("list").stdout


@ON_EVERY_DATABASE
def test_a_revoked_key_stays_listed(keys: Turno) -> None:
    key_id, _ = made(keys)
    made(keys)
    assert "within seconds" in keys("revoke", key_id).stderr
    assert [bool(one["revoked_at"]) for one in listed(keys)] == [True, False]
    assert "revoked" in keys("list").stdout
    assert "was revoked before" in keys("revoke", key_id).stderr


@ON_EVERY_DATABASE
def test_a_rotation_shows_the_new_secret_and_for_how_long_the_former_is_valid(keys: Turno) -> None:
    key_id, former = made(keys)
    rotated = keys("rotate", key_id)
    assert rotated.stdout.strip().startswith("turno_")
    assert rotated.stdout.strip() != former
    assert "24 h" in rotated.stderr
    assert listed(keys)[0]["former_until"]
    assert "former" in keys("list").stdout
    assert "is refused within seconds" in keys("rotate", key_id, "--overlap", "0").stderr
    assert [(one["id"], one["former_until"]) for one in listed(keys)] == [(key_id, None)]


@pytest.mark.parametrize("command", ["revoke", "rotate"])
def test_an_unknown_id_is_one_sentence(command: str, keys: Turno) -> None:
    with pytest.raises(OperatorError, match="no key key-0000000000: `python -m turno keys list`"):
        keys(command, "key-0000000000")


def test_a_revoked_key_cannot_be_rotated(keys: Turno) -> None:
    key_id, _ = made(keys)
    keys("revoke", key_id)
    with pytest.raises(OperatorError, match="is revoked: make a new key"):
        keys("rotate", key_id)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--name", " "), "--name takes one line of 1 to 100 characters"),
        (("--name", "x" * 101), "--name takes one line"),
        (("--name", "a\nb"), "--name takes one line"),
        (("--name", "a", "--rate", "600/h"), "--rate takes a number such as 600/min"),
        (("--name", "a", "--rate", "-1"), "--rate takes a number"),
        (("--name", "a", "--quota", "5000000000"), "--quota takes a number such as 600/day"),
    ],
)
def test_what_cannot_be_made_is_one_sentence_and_nothing_is_made(
    arguments: tuple[str, ...], reason: str, keys: Turno
) -> None:
    with pytest.raises(OperatorError, match=reason):
        keys("create", *arguments)
    assert listed(keys) == []


def test_an_unknown_scope_is_refused_with_those_there_are(keys: Turno) -> None:
    refused = keys("create", "--name", "a", "--scope", "root")
    assert refused.exit_code == 2
    assert "jobs:read" in refused.stderr


def test_the_real_command_on_a_database_that_cannot_be_used(start: Start) -> None:
    started = start("-m", "turno", "keys", "list", DATABASE_URL="postgresql://127.0.0.1:1/turno")
    assert started.process.wait(40) == 2
    (line,) = started.output.splitlines()
    assert line.startswith("turno: The database cannot be used (")


def test_starting_the_api_on_the_network_names_the_command(start: Start) -> None:
    assert "python -m turno keys create --name NAME" in refusal(
        start, "api", HOST="0.0.0.0", REDIS_URL="unix:///nowhere"
    )
