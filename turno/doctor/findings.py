"""What one look at a service found, and how it is told."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import typer

from turno.screen import harmless


class State(StrEnum):
    """How well a thing is."""

    OK = "ok"
    WARN = "warn"  # works, but somebody should know
    FAIL = "fail"
    SKIP = "skip"  # could not be looked at, because of what failed before


_COLORS = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red", State.SKIP: "bright_black"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    check: str
    state: State
    said: str
    to_do: str | None = None


def ok(check: str, said: str) -> Finding:
    """It is as it should be."""
    return Finding(check, State.OK, said)


def warn(check: str, said: str, to_do: str) -> Finding:
    """It works, but not as it should."""
    return Finding(check, State.WARN, said, to_do)


def fail(check: str, said: str, to_do: str) -> Finding:
    """It does not work."""
    return Finding(check, State.FAIL, said, to_do)


def skip(check: str, said: str) -> Finding:
    """It was not looked at."""
    return Finding(check, State.SKIP, said)


def show(finding: Finding) -> None:
    """Prints a line, and below it what to do."""
    state = typer.style(f"{finding.state:<4}", fg=_COLORS[finding.state], bold=True)
    typer.echo(f"{state}  {finding.check:<9} {harmless(finding.said)}")
    if finding.to_do:
        typer.echo(f"{'':15} → {harmless(finding.to_do)}")


def as_json(url: str, findings: Sequence[Finding]) -> str:
    """The whole report for a program."""
    return json.dumps({"url": url, "ok": all_well(findings), "checks": [asdict(one) for one in findings]}, indent=1)


def all_well(findings: Sequence[Finding]) -> bool:
    """Whether nothing failed."""
    return not any(finding.state is State.FAIL for finding in findings)
