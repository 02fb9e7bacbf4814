"""The pages on deployment and maintenance, and the Spanish ones, name what there is."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from api.uploads import FORM_OVERHEAD_BYTES
from shared import errors
from shared.settings import Settings
from tests.meta.sources import ROOT, name

_PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.es.md"]
_SPANISH = [*sorted((ROOT / "docs" / "es").glob("*.md")), ROOT / "README.es.md"]
_TOLD = [
    *sorted((ROOT / "docs" / "deploy").glob("*.md")),
    *_SPANISH,
    ROOT / "docs" / "operations.md",
    ROOT / "docs" / "sizing.md",
]
# TensorFlow's, uvicorn's, Railway's, and chains and variables of the shell in the examples
_FOREIGN = {"CUDA_VISIBLE_DEVICES", "FORWARDED_ALLOW_IPS", "RAILWAY_RUN_UID", "KEY"}
_NOT_SETTINGS = {"DELETE", "GET", "POST", "DEBUG", "INFO"}  # methods and values
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]*))?\)")
_CODE = re.compile(r"`([^`\n]+)`")
_UPPER = re.compile(r"(?<![\w-])[A-Z][A-Z0-9_]{2,}(?![\w-])")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", _text(path)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _commands(path: Path) -> list[str]:
    """The lines of the `sh` blocks, without what is said beside them."""
    blocks = [block for kind, block in _FENCE.findall(_text(path)) if kind == "sh"]
    return [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]


def _known_names() -> set[str]:
    compose = set(re.findall(r"\$\{([A-Z_]+)", _text(ROOT / "docker-compose.yml")))
    return {field.upper() for field in Settings.model_fields} | compose | _FOREIGN


@pytest.mark.parametrize("path", _PAGES, ids=name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target, anchor in _LINK.findall(_text(path)):
        found = (path.parent / target).resolve() if target else path
        assert found.exists(), f"{target} is not there"
        if anchor:
            assert anchor in _anchors(found), f"{target}#{anchor} is not there"


@pytest.mark.parametrize("path", _TOLD, ids=name)
def test_every_setting_that_is_named_exists(path: Path) -> None:
    prose = _FENCE.sub("", _text(path))
    named = {word for code in _CODE.findall(prose) if "-" not in code for word in _UPPER.findall(code.split("=")[0])}
    assigned = set()
    for kind, block in _FENCE.findall(_text(path)):
        if kind == "":
            assigned |= set(re.findall(r"^([A-Z][A-Z0-9_]+)=", block, re.MULTILINE))
    assert (named | assigned) - _NOT_SETTINGS <= _known_names()


@pytest.mark.parametrize("path", _TOLD, ids=name)
def test_every_make_target_that_is_named_exists(path: Path) -> None:
    targets = set(re.findall(r"^\.PHONY: (\w[\w-]*)$", _text(ROOT / "Makefile"), re.MULTILINE))
    text = _text(path)
    code = "\n".join(_CODE.findall(_FENCE.sub("", text)) + [block for _, block in _FENCE.findall(text)])
    assert set(re.findall(r"\bmake (?:-C \S+ )?([a-z][\w-]*)", code)) <= targets


@pytest.mark.parametrize("path", _SPANISH, ids=name)
def test_every_error_that_is_named_in_spanish_exists(path: Path) -> None:
    known = {found.code for found in vars(errors).values() if isinstance(found, type) and hasattr(found, "code")}
    rows = [line for line in _text(path).splitlines() if re.search(r"\| [45]\d\d \|", line)]
    assert {code for row in rows for code in _CODE.findall(row.split("|")[1])} <= known
    if path.name == "uso.md":
        assert rows


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The routes there are, whatever their parameters are called."""
    folder = tmp_path_factory.mktemp("state")
    settings = Settings(_env_file=None, state_dir=folder, redis_url="redis://127.0.0.1:1/0")
    described: dict[str, Any] = create_app(settings).openapi()
    return {re.sub(r"\{\w+\}", "{}", route) for route in described["paths"]} | {"/docs"}


@pytest.mark.parametrize("path", _SPANISH, ids=name)
def test_every_route_that_is_named_in_spanish_exists(path: Path, shapes: set[str]) -> None:
    prose = " ".join(_CODE.findall(_FENCE.sub("", _text(path))))
    said = re.findall(r"(?:^|(?<=\s))/(?:v1/[\w/{}]+|predict|readyz|livez|metrics|health|docs)(?=\s|$)", prose)
    called = re.findall(r"http://(?:localhost|127\.0\.0\.1):8000(/[^\s`>]+)", _text(path))
    for route in [*said, *called]:
        assert re.sub(r"\{\w+\}|\$ID", "{}", route) in shapes, route


def test_the_spanish_readme_has_the_commands_of_the_english_one() -> None:
    assert _commands(ROOT / "README.es.md") == _commands(ROOT / "README.md")


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "es").glob("*.md")), ids=name)
def test_a_spanish_page_is_about_a_screen(path: Path) -> None:
    assert len(_text(path).splitlines()) <= 90


def test_railway_builds_a_dockerfile_that_is_there() -> None:
    told = json.loads(_text(ROOT / "railway.json"))
    assert told["build"]["builder"] == "DOCKERFILE"
    assert (ROOT / told["build"]["dockerfilePath"]).is_file()
    assert told["deploy"]["healthcheckPath"] == "/readyz"


def test_the_proxy_lets_through_what_the_api_takes() -> None:
    most_bytes = Settings.model_fields["upload_max_bytes"].default + FORM_OVERHEAD_BYTES
    assert _text(ROOT / "docs" / "deploy" / "Caddyfile").count(str(most_bytes)) == 2
