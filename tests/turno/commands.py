"""Commands of `python -m turno` as a person runs them, on a machine that has no Turno of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.stack import ROOT

Ran = subprocess.CompletedProcess[str]
Run = Callable[..., Ran]


def environment(**settings: str) -> dict[str, str]:
    """Nothing of the developer's own settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **settings}


def command(*arguments: str | Path) -> list[str]:
    """The command line."""
    return [sys.executable, "-m", "turno", *map(str, arguments)]


def run(*arguments: str | Path, folder: Path, **settings: str) -> Ran:
    """What a command printed, and its exit code."""
    return subprocess.run(
        command(*arguments),
        cwd=folder,  # no .env here
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
