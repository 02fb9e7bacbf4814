"""The real service against its own OpenAPI document, by a tool that knows nothing else of it."""

import subprocess
import sys

import pytest

from tests.api.service import KEY
from tests.conftest import StackFactory
from tests.stack import ROOT

_ROUTES = 34


@pytest.mark.timeout(400)
def test_schemathesis_finds_nothing(make_stack: StackFactory) -> None:
    limits = {"RATE_PER_MINUTE": "1000000", "IMAGES_PER_DAY": "1000000"}
    stack = make_stack(API_KEY=KEY, WEBHOOK_ALLOW_NETWORKS="127.0.0.0/8", **limits).start()
    command = ["run", f"{stack.url}/openapi.json", "-H", f"X-API-Key: {KEY}", "--checks", "all", "--max-examples", "3"]
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Tested: {_ROUTES}\n" in done.stdout
