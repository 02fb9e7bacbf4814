"""What the person at the terminal sees: our own lines, and the processes' lines with their name in front."""

import contextlib
import json
import sys

import typer

_NAME_WIDTH = 7
_COLORS = ("cyan", "green", "magenta", "yellow", "blue")
_LINE_MAX_BYTES = 65_536  # a process that prints without a line end must not fill our memory


class Screen:
    """Writes lines to stdout; a closed terminal is no reason to stop serving."""

    def __init__(self) -> None:
        self._colors: dict[str, str] = {}

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks on, not a log."""
        return sys.stdout.isatty()

    def say(self, text: str) -> None:
        """One line of our own."""
        self._write(_styled(text, bold=True))

    def relay(self, name: str, line: str) -> None:
        """One line of the process `name`: in words on a terminal, JSON as it is for whoever collects logs."""
        if line.startswith("{") and not self.is_terminal:
            self._write(line)
            return
        color = self._colors.setdefault(name, _COLORS[len(self._colors) % len(_COLORS)])
        self._write(f"{_styled(f'{name:<{_NAME_WIDTH}} |', fg=color)} {readable(line)}")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            typer.echo(text)


def _styled(text: str, *, fg: str | None = None, bold: bool | None = None) -> str:
    return typer.style(text, fg=fg, bold=bold) if sys.stdout.isatty() else text


def readable(line: str) -> str:
    """A JSON log line in words, any other line as it is."""
    if not line.startswith("{"):
        return line
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if "event" not in record:
        return line
    time, level = str(record.pop("timestamp", ""))[11:19], str(record.pop("level", ""))
    event, trace = record.pop("event"), record.pop("exception", "")
    record.pop("logger", None)
    facts = [f"{key}={value}" for key, value in record.items()]
    words = [word for word in (time, level, str(event), *facts) if word]
    # a request's path may hold line ends and terminal commands: on the screen they are shown, not obeyed
    return "\n".join(harmless(part) for part in (" ".join(words), *str(trace).splitlines()))


def harmless(text: str) -> str:
    """Text as a terminal may show it: what would be obeyed there is written out."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


class Lines:
    """Cuts what a process writes into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that `data` completes; no data at all means the end and completes the last one."""
        whole, separator, rest = (self._rest + data).rpartition(b"\n")
        whole += separator
        if not data or len(rest) > _LINE_MAX_BYTES:
            whole, rest = whole + rest, b""
        self._rest = rest
        return [line.decode("utf-8", "replace") for line in whole.splitlines()]
