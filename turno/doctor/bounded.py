"""Work that may hang, given a limit: a name that does not resolve, a server that answers a byte a minute."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class TookTooLong(Exception):
    """The work was not done in its time; it is left to itself, and ends with the process."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"This took longer than {seconds:.0f} s.")


def bounded(seconds: float, work: Callable[[], T]) -> T:
    """What `work` gives within this time.

    Raises:
        TookTooLong: it is not done by then. Whatever it raises itself is raised here.
    """
    done: SimpleQueue[tuple[T | None, Exception | None]] = SimpleQueue()

    def run() -> None:
        try:
            done.put((work(), None))
        except Exception as error:  # it belongs to whoever waits for the work
            done.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        value, error = done.get(timeout=seconds)
    except Empty:
        raise TookTooLong(seconds) from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]  # None only where T is
