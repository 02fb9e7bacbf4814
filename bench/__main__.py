"""`python -m bench`: measures what docs/benchmarks.md says, prints one table, writes JSON and a picture."""

import importlib
import signal
import sys
import tempfile
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench import cores
from bench.cache import Cache
from bench.figures import Figure
from bench.machine import describe
from bench.picture import draw
from bench.plan import Plan
from bench.report import print_table, write_json
from bench.workloads import WORKLOADS

ROWS = [0, 100_000, 1_000_000]


class Measure(StrEnum):
    """Each is a file of this name, or a folder."""

    DRAIN = "drain"
    LATENCY = "latency"
    INTAKE = "intake"
    START = "start"
    MEMORY = "memory"
    CHILDREN = "children"
    PEERS = "peers"
    CEILINGS = "ceilings"


_USUAL = [one for one in Measure if one not in (Measure.CHILDREN, Measure.CEILINGS)]
_MODULES = {Measure.PEERS: "bench.peers.comparison"}  # beside what it compares with


class Kind(StrEnum):
    """Where the jobs lie."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


WorkloadName = StrEnum("WorkloadName", {name.upper(): name for name in WORKLOADS})  # type: ignore[misc]


def main(
    measures: Annotated[
        list[Measure] | None, typer.Argument(help="What to measure; nothing named: all but children and ceilings.")
    ] = None,
    workload: Annotated[list[WorkloadName] | None, typer.Option(help="Only this one; may be repeated.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is measured, taking turns.")] = 3,
    jobs: Annotated[int, typer.Option(min=0, help="Jobs in a round; 0: about five seconds' worth.")] = 0,
    rows: Annotated[list[int] | None, typer.Option(help="For intake: jobs in the table; may be repeated.")] = None,
    database: Annotated[Kind, typer.Option(help="Where the jobs lie.")] = Kind.SQLITE,
    folder: Annotated[Path | None, typer.Option(help="Where made models, pictures and results are kept.")] = None,
) -> None:
    """Measures Turno beside what it could be at best, taking turns on the same cores."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended, too
    kept = folder or Path(tempfile.gettempdir()) / "turno-bench"
    kept.mkdir(parents=True, exist_ok=True)
    named = [WORKLOADS[str(name)] for name in workload or []]
    plan = Plan(Cache(kept.resolve(), _say), named, rounds, str(database), _say, rows or ROWS, jobs)
    figures: list[Figure] = []
    modules = [importlib.import_module(_MODULES.get(one, f"bench.{one}")) for one in measures or _USUAL]
    with cores.on(cores.OTHERS):  # we, too, stay away from the measured core
        machine = describe(kept)
        for module in modules:
            figures += module.measure(plan)
    print_table(figures, machine)
    write_json(figures, machine, kept / "results.json")
    draw(figures, machine, kept / "results.png")
    _say(f"written: {kept}/results.json and {kept}/results.png")


def _say(text: str) -> None:
    typer.echo(f"{datetime.now().astimezone():%H:%M:%S} {text}", err=True)


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
