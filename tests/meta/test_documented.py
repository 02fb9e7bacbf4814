"""What is written for people agrees with what runs."""

import re
import subprocess

from tests.meta.sources import ROOT
from turno.settings_docs import as_env, as_markdown


def test_the_configuration_page_lists_the_settings_as_they_are() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == as_markdown(), "run `make docs`"


def test_the_example_environment_lists_the_settings_as_they_are() -> None:
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == as_env(), "run `make docs`"


def test_the_example_environment_changes_nothing_when_it_is_copied() -> None:
    assert [line for line in as_env().splitlines() if line and not line.startswith("#")] == []


def test_make_without_a_target_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").partition("# --- ")[0]
    targets = set(re.findall(r"^\.PHONY: (\w+)$", makefile, re.MULTILINE))
    shown = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[1] for line in shown.splitlines()} == targets
    assert {"help", "run", "dev", "test", "check", "lint", "types", "docs", "lock", "audit"} <= targets
