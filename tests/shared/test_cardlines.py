"""Where an entry stands, in every way that TOML has to write one."""

import tomllib
from typing import Any

import pytest

from shared.cardlines import Place, line_of, lines_of, syntax_fault

# every number says on which line it stands
NUMBERED = '''a = 1
"b c" = 2 # = 3
'd.e' = 3
f.g."h" = 4
text = """
[i]
i = 0
\\""" and ""no end""  """
j = 9
raw = \'\'\'
k = 0\'\'\'
k = 12
list = [ 13, # ]
  "],", \'[\', [ 14 ],
  { l = 15, m = [15, "}", { n = 15 }] },
]

[ table . inner ]
o = 19
[[items]]
p = 21
[items.q]
r = 23
[[items]]
p = 25
[[items.s]]
t = 27
[[items.s]]
t = 29
[last]
empty = ""
day = 1979-05-27 07:32:00
yes = true
u = 34'''


def _numbers(found: Any, place: Place = ()) -> list[tuple[Place, int]]:
    if isinstance(found, dict):
        return [one for key, value in found.items() for one in _numbers(value, (*place, key))]
    if isinstance(found, list):
        return [one for number, value in enumerate(found) for one in _numbers(value, (*place, number))]
    return [(place, found)] if type(found) is int else []


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_every_entry_is_found_on_its_line(ending: str) -> None:
    text = NUMBERED.replace("\n", ending)
    lines, numbers = lines_of(text), _numbers(tomllib.loads(text))
    assert len(numbers) == 18
    assert {place: lines[place] for place, _ in numbers} == dict(numbers)


def test_what_is_missing_is_looked_for_where_its_table_begins() -> None:
    lines = lines_of(NUMBERED)
    assert line_of(lines, ("table", "inner", "width_px")) == 18
    assert line_of(lines, ("items", 1, "id")) == 24
    assert line_of(lines, ("items", 1, "s", 1, "id")) == 28
    assert line_of(lines, ("nowhere", "at", "all")) == 1


@pytest.mark.parametrize(("text", "line"), [("a = 1\nb = \nc = 3", 2), ("a = 1\n\nb = [1,", 3), ("a = 1\na = 2\n", 2)])
def test_what_is_no_toml_is_told_with_its_line(text: str, line: int) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as refused:
        tomllib.loads(text)
    found, sentence = syntax_fault(str(refused.value), text)
    assert found == line
    assert "line" not in sentence
