"""The pinned dependencies: complete, hashed, and the same in each subset."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.meta.sources import ROOT

_ALL = ROOT / "requirements.txt"
_SUBSETS = [ROOT / "requirements" / f"{part}.txt" for part in ("api", "worker")]
_DEV = ROOT / "requirements" / "dev.txt"
_FILES = [_ALL, *_SUBSETS, _DEV, ROOT / "requirements" / "pip.txt"]


def pins(path: Path) -> dict[str, str]:
    """Version and marker by package."""
    entries = re.findall(r"^([a-z0-9.-]+)==(.+?) *\\?$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(entries)


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.name)
def test_every_pin_has_hashes_and_nothing_else_stands_there(path: Path) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    starts = [number for number, line in enumerate(lines) if not line.startswith("    --hash=sha256:")]
    assert starts
    for number in starts:
        assert re.match(r"[a-z0-9.-]+==\S+", lines[number]), lines[number]
        assert number + 1 < len(lines), lines[number]
        assert lines[number + 1].startswith("    --hash=sha256:"), lines[number]


@pytest.mark.parametrize("path", _SUBSETS, ids=lambda path: path.name)
def test_a_subset_pins_what_the_whole_pins(path: Path) -> None:
    whole = versions(_ALL)
    assert {package: whole.get(package) for package in versions(path)} == versions(path)


def test_the_test_tools_come_on_top() -> None:
    tested = versions(_DEV)
    assert {package: tested.get(package) for package in versions(_ALL)} == versions(_ALL)


def versions(path: Path) -> dict[str, str]:
    """Version by package, whatever the marker."""
    return {package: pin.partition(" ;")[0] for package, pin in pins(path).items()}


def test_the_api_brings_no_model_runtime_and_the_worker_no_web_framework() -> None:
    api, worker = (set(pins(path)) for path in _SUBSETS)
    assert not api & {"tensorflow", "tensorflow-cpu", "keras", "openvino", "numpy"}
    assert not worker & {"fastapi", "starlette", "uvicorn"}


def test_every_declared_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [
        *project["dependencies"],
        *(one for extra in project["optional-dependencies"].values() for one in extra),
    ]
    names = {re.split(r"[\[><=;~! ]", one)[0].lower().replace("_", "-") for one in declared}
    assert names <= set(pins(_DEV)), "run `make lock`"
