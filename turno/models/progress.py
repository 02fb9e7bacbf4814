"""What a command does, while it does it: the log's lines, on a terminal as one line that changes."""

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.status import Status

from turno.screen import harmless


@contextmanager
def shown_log() -> Iterator[None]:
    """While it lasts, what is logged is shown on stderr; stdout is for what was asked."""
    console = Console(stderr=True, highlight=False)
    processors: list[Any] = structlog.get_config()["processors"]  # changed in place: loggers in use hold this list
    before = processors[:]
    with console.status("starting") as status:  # shows nothing where there is no terminal

        def show(_logger: object, level: str, event: MutableMapping[str, Any]) -> str:
            if level != "debug":
                _show(console, status, level, event)
            raise structlog.DropEvent

        processors[:] = [show]
        try:
            yield
        finally:
            processors[:] = before


def _show(console: Console, status: Status, level: str, event: MutableMapping[str, Any]) -> None:
    what = str(event.pop("event"))
    facts = ", ".join(f"{key} {value}" for key, value in event.items())
    text = harmless(f"{what} ({facts})" if facts else what)
    if console.is_terminal and level == "info":
        status.update(text)
    else:
        console.print(text, markup=False, soft_wrap=True)


@contextmanager
def shown_bar() -> Iterator[Callable[[int, int, str], None]]:
    """A bar on stderr, for whoever calls what is given with: done, in all, what is done now."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)

        def show(done: int, total: int, doing: str) -> None:
            progress.update(task, completed=done, total=total, description=harmless(doing))

        yield show
