"""In which line of a TOML file an entry stands: `tomllib` says what a document holds, never where.

Standard library only. It reads only what `tomllib` has taken already, so it need not know what is not TOML.
"""

import itertools
import re
from collections.abc import Callable
from typing import Final

Place = tuple[str | int, ...]  # the keys and list positions that lead to an entry

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY: Final = re.compile(r"[ \t]*(?:\"((?:[^\"\\\n]|\\.)*)\"|'([^'\n]*)'|([A-Za-z0-9_-]+))[ \t]*")
_TEXT: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?!")|\'\'\'.*?\'\'\'(?!\')|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL
)
_POSITION: Final = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_BARE: Final = re.compile(r"[^,\]}#\r\n]+")  # numbers, dates, true and false


def lines_of(document: str) -> dict[Place, int]:
    """The line, from 1, on which each table and each entry of a valid TOML document begins."""
    return _Walk(document).lines


def line_of(lines: dict[Place, int], place: Place) -> int:
    """The line of an entry, or, where it is missing, of the table in which it should be."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def syntax_fault(message: str, document: str) -> tuple[int, str]:
    """The line that `tomllib` complains of, and its complaint without the position."""
    found = _POSITION.fullmatch(message)
    if not found:
        return 1, message
    line = int(found[2]) if found[2] else document.count("\n") + 1
    return line, f"{found[1]} (column {found[3]})" if found[2] else f"{found[1]} (the file ends here)"


class _Walk:
    """Goes through a document once, from statement to statement."""

    def __init__(self, document: str) -> None:
        self._text = document
        self._at = 0
        self._table: Place = ()
        self._arrays: dict[Place, int] = {}  # of tables: how many there are so far
        self.lines: dict[Place, int] = {}
        self._skip_blank()
        while self._at < len(document):
            if document[self._at] == "[":
                self._header()
            else:
                self._entry(self._table)
            self._skip_blank()

    def _header(self) -> None:
        """[table] or [[one more of these tables]]."""
        double = self._text.startswith("[[", self._at)
        here, self._at = self._at, self._at + 1 + double
        keys = self._keys()
        table = self._resolved(keys[:-1], ())
        if double:
            table += keys[-1:]
            self._note(table, here)
            number = self._arrays[table] = self._arrays.get(table, -1) + 1
            self._table = (*table, number)
        else:
            self._table = self._resolved(keys[-1:], table)
        self._note(self._table, here)
        self._at = self._text.index("]", self._at) + 1 + double

    def _resolved(self, keys: Place, table: Place) -> Place:
        """Where keys in a header lead: in a list of tables always to the last one."""
        for key in keys:
            table += (key,)
            if table in self._arrays:
                table += (self._arrays[table],)
        return table

    def _entry(self, table: Place) -> None:
        """key = value, the key perhaps of several parts."""
        here = self._at
        for key in self._keys():
            table += (key,)
            self._note(table, here)
        self._at = self._text.index("=", self._at) + 1
        self._value(table)

    def _keys(self) -> Place:
        keys: list[str] = []
        while found := _KEY.match(self._text, self._at):
            keys.append(next(part for part in found.groups() if part is not None))
            self._at = found.end()
            if self._text[self._at] != ".":
                break
            self._at += 1
        return tuple(keys)

    def _value(self, place: Place) -> None:
        self._skip_blank()
        match self._text[self._at]:
            case "{":
                self._each("}", lambda _: self._entry(place))
            case "[":
                self._each("]", lambda number: self._element((*place, number)))
            case _:
                found = _TEXT.match(self._text, self._at) or _BARE.match(self._text, self._at)
                assert found
                self._at = found.end()

    def _element(self, place: Place) -> None:
        self._note(place, self._at)
        self._value(place)

    def _each(self, end: str, read: Callable[[int], None]) -> None:
        """What stands between commas, up to the end of the list or table."""
        self._at += 1
        for number in itertools.count():
            self._skip_blank()
            if self._text[self._at] != end:
                read(number)
                self._skip_blank()
            if self._text[self._at] == end:
                break
            self._at += 1  # the comma
        self._at += 1

    def _skip_blank(self) -> None:
        found = _BLANK.match(self._text, self._at)
        assert found
        self._at = found.end()

    def _note(self, place: Place, at: int) -> None:
        self.lines.setdefault(place, self._text.count("\n", 0, at) + 1)
