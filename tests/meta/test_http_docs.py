"""The page on the HTTP interface has every route with its errors, and its commands run."""

import re
import subprocess
from typing import Any

import pytest

from api.app import create_app
from api.problems import MEDIA_TYPE
from shared.settings import Settings
from tests.conftest import LEAF_HEALTH, StackFactory
from tests.meta.sources import ROOT

PAGE = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"(<!-- run: the worker is paused -->\n)?```sh\n(.*?)```", re.DOTALL)
# what the page keeps in the shell
_VARIABLES = {"$BATCH": "/v1/batches/some", "$WEBHOOK": "/v1/webhooks/some", "$DELIVERY": "/v1/deliveries/some"}
# every curl must be answered 2xx; what it prints is of no interest here
_BEGIN = 'set -euo pipefail; curl() { command curl --fail-with-body --max-time 60 "$@"; }'


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The codes of each operation, by method and path."""
    entries: dict[str, Any] = {"redis_url": "redis://127.0.0.1:1", "model_path": LEAF_HEALTH}
    settings = Settings(_env_file=None, state_dir=tmp_path_factory.mktemp("state"), **entries)
    return {
        f"{method.upper()} {re.sub(r'{[a-z]+_id}', '{id}', path)}": {
            code
            for response in operation["responses"].values()
            for code in response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
        }
        for path, methods in create_app(settings).openapi()["paths"].items()
        for method, operation in methods.items()
    }


def sections() -> dict[str, str]:
    """The text below each heading, by the routes in it."""
    parts = re.split(r"^##+ (.*)$", PAGE, flags=re.MULTILINE)
    headings = zip(parts[1::2], parts[2::2], strict=True)
    return {route: text for heading, text in headings for route in re.findall(r"`([A-Z]+ /[^`]*)`", heading)}


def commands(text: str) -> list[str]:
    """The method and path of each curl."""
    found = []
    for line in re.findall(r"curl .*", text.replace("\\\n", " ")):
        said = re.search(r"-X (\w+)", line)
        method = said[1] if said else "POST" if re.search(r" (-F|--data-binary|--json) ", line) else "GET"
        for name, of_one in _VARIABLES.items():
            line = line.replace(name, f"localhost:8000{of_one}")  # noqa: PLW2901 - the same, spelled out
        path = re.search(r"/[^\s'\")?]*", line.rpartition("localhost:8000")[2])
        assert path, line
        found.append(f"{method} {re.sub(r'(leaf-[0-9]+|some|default)', '{id}', path[0])}")
    return found


def test_every_route_has_its_section_with_its_curl(operations: dict[str, set[str]]) -> None:
    assert set(sections()) == set(operations)
    for route, text in sections().items():
        assert route in commands(text), route


def test_each_section_names_the_errors_of_its_route(operations: dict[str, set[str]]) -> None:
    keyed = [codes for codes in operations.values() if "scope-missing" in codes]
    everywhere = set.intersection(*keyed)
    general = PAGE.partition("\n## Errors\n")[2].partition("\n## ")[0]
    assert everywhere == {code for code in everywhere if f"`{code}`" in general}
    submitted = _codes(sections()["POST /v1/jobs"])
    for route, codes in operations.items():
        said = sections()[route].partition("\nErrors: ")[2]
        named = _codes(sections()[route]) | (submitted if said.startswith("those of `POST /v1/jobs`") else set())
        assert named == codes - everywhere - {"unauthorized", "rate-exceeded", "host-refused", "store-unavailable"}, (
            route
        )


def test_every_code_that_the_page_names_exists(operations: dict[str, set[str]]) -> None:
    errors = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    known = set(re.findall(r"^\| `([a-z-]+)`", errors, re.MULTILINE))
    assert set().union(*map(_codes, sections().values())) <= known
    assert set().union(*operations.values()) <= known


def test_every_command_of_the_page_is_answered_well(make_stack: StackFactory) -> None:
    stack = make_stack(WEBHOOK_ALLOW_NETWORKS="127.0.0.0/8").start()
    workers = " ".join(str(child.pid) for child in stack.children("worker"))
    script = [_BEGIN]
    for paused, text in _BLOCK.findall(PAGE):
        script += [f"kill -STOP {workers}", text, f"kill -CONT {workers}"] if paused else [text]
    assert len(script) > 15
    command = "\n".join(script).replace("http://localhost:8000", stack.url)
    done = subprocess.run(["bash", "-xc", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_page_is_short_enough_to_read() -> None:
    assert len(PAGE.splitlines()) < 490


def _codes(section: str) -> set[str]:
    return set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", section.partition("\nErrors: ")[2]))
