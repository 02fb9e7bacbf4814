"""The container files say what the rest of the project says."""

import re
import tomllib
from typing import Any

import pytest
import yaml
from pydantic import AliasChoices

from shared.settings import Settings
from tests.meta.sources import ROOT

_COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
_SERVICES: dict[str, Any] = _COMPOSE["services"]
_OURS = ("api", "worker", "courier")
_DOCKERFILES = [ROOT / "Dockerfile.api", ROOT / "Dockerfile.worker"]
# what is inside a container is the image's business
_THE_IMAGES_OWN = {"HOST", "PORT", "STATE_DIR", "BEAT_FILE"}


def _names() -> set[str]:
    return {
        (field.validation_alias.choices[0] if isinstance(field.validation_alias, AliasChoices) else name).upper()  # type: ignore[union-attr]
        for name, field in Settings.model_fields.items()
    }


def test_every_setting_reaches_the_containers() -> None:
    assert set(_SERVICES["api"]["environment"]) - {"FORWARDED_ALLOW_IPS"} == _names() - _THE_IMAGES_OWN


@pytest.mark.parametrize("service", ["worker", "courier"])
def test_the_key_stays_with_the_api(service: str) -> None:
    assert set(_SERVICES[service]["environment"]) == set(_SERVICES["api"]["environment"]) - {"API_KEY"}


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    for name in ("API_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD"):
        assert f"${{{name}:?" in text
        assert not re.search(rf"\$\{{{name}:?-", text)


def test_a_worker_gets_two_gigabytes_and_one_cpu_unless_told_otherwise() -> None:
    worker = _SERVICES["worker"]
    assert worker["mem_limit"] == worker["memswap_limit"] == "${WORKER_MEMORY:-2g}"
    assert worker["cpus"] == "${WORKER_CPUS:-1}"


def test_a_worker_may_finish_its_batch_before_it_is_killed() -> None:
    (grace,) = map(int, re.findall(r"\$\{WORKER_GRACE:-(\d+)s\}", _SERVICES["worker"]["stop_grace_period"]))
    assert grace > Settings.model_fields["batch_timeout_seconds"].default


def test_only_the_api_is_published() -> None:
    assert [name for name, service in _SERVICES.items() if "ports" in service] == ["api"]


@pytest.mark.parametrize("service", _SERVICES)
def test_everything_is_confined_and_comes_back(service: str) -> None:
    found = _SERVICES[service]
    assert found["restart"] == "unless-stopped"
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found["mem_limit"]
    assert found["logging"]["options"]["max-size"]
    assert "healthcheck" in found or service in _OURS  # ours have theirs in the Dockerfile


@pytest.mark.parametrize("path", _DOCKERFILES, ids=lambda path: path.name)
def test_an_image_is_labelled_with_the_version_and_runs_as_nobody_in_particular(path: Any) -> None:
    text = path.read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f'org.opencontainers.image.version="{project["version"]}"' in text
    assert text.rindex("\nUSER turno") > text.rindex("\nRUN ")
    assert "--require-hashes" in text


@pytest.mark.parametrize("path", _DOCKERFILES, ids=lambda path: path.name)
def test_the_classic_builder_understands_the_dockerfiles(path: Any) -> None:
    text = path.read_text(encoding="utf-8")
    assert "--mount" not in text
    assert "<<" not in text


def test_nothing_secret_and_no_test_gets_into_an_image() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    assert lines[0] == "*"
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert kept == {"api", "shared", "turno", "worker", "models/leaf-health", "requirements", "requirements.txt"}
