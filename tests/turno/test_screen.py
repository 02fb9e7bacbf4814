"""Lines and their prefixes."""

import json

import pytest

from turno.screen import Lines, Screen, readable


def test_lines_are_put_together_from_pieces() -> None:
    lines = Lines()
    assert lines.feed(b"one\ntw") == ["one"]
    assert lines.feed(b"o\r\n\nthree") == ["two", ""]
    assert lines.feed(b"") == ["three"]
    assert lines.feed(b"") == []


def test_a_line_without_an_end_is_shown_before_it_fills_the_memory() -> None:
    lines = Lines()
    assert lines.feed(b"x" * 70_000) == ["x" * 70_000]
    assert lines.feed(b"\xff\n") == ["\ufffd"]


def test_each_line_carries_the_name_of_its_process(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().relay("api", "hello")
    assert capsys.readouterr().out == "api     | hello\n"  # and no colours outside a terminal


def test_a_json_log_line_is_shown_in_words() -> None:
    line = (
        '{"event": "prepared", "model": "leaf", "timestamp": "2026-01-02T03:04:05.6Z", "level": "info", "logger": "x"}'
    )
    assert readable(line) == "03:04:05 info prepared model=leaf"


@pytest.mark.parametrize("line", ["plain", "{not json", '{"no": "event here"}', "[1]", ""])
def test_any_other_line_is_shown_as_it_is(line: str) -> None:
    assert readable(line) == line


def test_what_a_request_put_into_a_log_line_is_shown_and_not_obeyed() -> None:
    record = {
        "event": "request",
        "route": "/a\n09:00:00 info all is well\x1b[2J\r\x9b2J",
        "level": "info",
        "who": "Zoë",
    }
    shown = r"info request route=/a\n09:00:00 info all is well\x1b[2J\r\x9b2J who=Zoë"
    assert readable(json.dumps(record)) == shown


def test_outside_a_terminal_a_json_line_goes_to_the_collector_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    line = json.dumps({"event": "request", "route": "/a\n\x1b[2J", "timestamp": "2026-01-02T03:04:05.6Z"})
    Screen().relay("api", line)
    assert capsys.readouterr().out == f"{line}\n"
