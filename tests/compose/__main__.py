"""`make stack-test`: builds the containers, loads them, strikes them, counts, and takes everything down.

Needs a running Docker and about ten minutes. Ends with 1 when anything that must hold does not.
"""

import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from tests.compose import elsewhere, scenario, webhooks
from tests.compose.containers import Containers, docker_answers
from tests.compose.memory import MemoryWatch

_STEPS: list[Callable[[Containers], str]] = [
    scenario.builds,
    scenario.knows_no_tensorflow,
    scenario.refuses_without_secrets,
    scenario.comes_up,
    scenario.is_hardened,
    scenario.answers,
    scenario.drains,
    scenario.survives_everything,
    scenario.tells_no_secret,
    scenario.serves_in_one_gigabyte,
]
_ELSEWHERE: list[Callable[[], str]] = [elsewhere.one_small_box, elsewhere.images_in_a_bucket]


def main() -> int:
    """0 when everything held, 1 when something did not, 2 without a Docker."""
    console = Console(width=150)
    if not docker_answers():
        console.print("No Docker answers here: start one, or see whether you may use it (`docker info`).")
        return 2
    table = Table("step", "seconds", "what was seen", title="The containers, tried", show_lines=True)
    stack = Containers()
    watch = MemoryWatch(stack)
    try:
        held = all(_tried(console, table, step.__name__, lambda step=step: step(stack)) for step in _STEPS)  # type: ignore[misc]
        if not held:
            console.print(stack.compose("logs", "--no-color", "--tail", "40"), markup=False, highlight=False)
    finally:
        watch.stop()
        webhooks.remove_receiver(stack)  # it holds the network
        stack.down()
    held = held and all(_tried(console, table, step.__name__, step) for step in _ELSEWHERE)
    console.print(table)
    console.print(_memory_table(watch))
    return 0 if held else 1


def _tried(console: Console, table: Table, name: str, step: Callable[[], str]) -> bool:
    title = name.replace("_", " ")
    console.print(f"{title} …")
    started = time.monotonic()
    try:
        seen, held = step(), True
    except Exception as error:  # whatever it is, the step failed, and the containers must still be taken down
        seen, held = f"[bold red]{type(error).__name__}[/]: {error}"[:3000], False
    console.print(f"  {seen}", highlight=False)
    table.add_row(title, f"{time.monotonic() - started:.0f}", seen)
    return held


def _memory_table(watch: MemoryWatch) -> Table:
    table = Table("container and limit", "processes, at most", "with page cache, at most", title="Memory")
    for container, peak in sorted(watch.peaks.items()):
        table.add_row(container, f"{peak.processes / 1e6:.0f} MB", f"{peak.with_cache / 1e6:.0f} MB")
    return table


if __name__ == "__main__":
    sys.exit(main())
