"""One table for people, one JSON file for programs."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.figures import Figure

_WIDE = 150  # where the output goes to a file


def write_json(figures: list[Figure], machine: dict[str, Any], path: Path) -> None:
    """Everything that was measured."""
    document = {"machine": machine, "figures": [figure.document() for figure in figures]}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def print_table(figures: list[Figure], machine: dict[str, Any]) -> None:
    """Medians over the rounds, with the least and the most."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    table = Table(title=_title(machine), caption=_caption(figures), title_justify="left", caption_justify="left")
    for name in ("measure", "case", "figure"):
        table.add_column(name)
    for name in ("median", "least – most", "goal"):
        table.add_column(name, justify="right", no_wrap=True)
    before = None
    for figure in figures:
        case = (figure.measure, figure.case)
        if before and case != before:
            table.add_section()
        head = ("", "") if case == before else case
        table.add_row(*head, figure.name, _number(figure.median, figure.unit), _spread(figure), _goal(figure))
        before = case
    console.print(table)


def _title(machine: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    first = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_mib']} MiB; fsync {machine['fsync_ms']} ms"
    return f"{first}\n{machine['when']}, commit {machine['commit']}, Python {machine['python']}, {versions}"


def _caption(figures: list[Figure]) -> str:
    lines = [f"{figure.measure} {figure.case}: {figure.where}" for figure in figures if figure.where]
    return "\n".join(dict.fromkeys(lines))


def _spread(figure: Figure) -> str:
    if len(figure.values) == 1:
        return "one round"
    return f"{_number(min(figure.values))} – {_number(max(figure.values))}"


def _goal(figure: Figure) -> str:
    if figure.goal is None:
        return ""
    return f"{figure.goal} {'met' if figure.goal.met(figure.median) else 'missed'}"


def _number(value: float, unit: str = "") -> str:
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f} {unit}".rstrip()
