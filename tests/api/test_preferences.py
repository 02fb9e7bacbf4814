"""What is read from `Prefer`, and what the answer says was heeded (RFC 7240)."""

import pytest

from api.preferences import Preferences, parse_preferences


@pytest.mark.parametrize(
    ("values", "wait_seconds"),
    [
        ([], 0),
        ([""], 0),
        (["wait=10"], 10),
        (["WAIT = 10"], 10),
        (['wait="10"'], 10),
        (["wait"], 60),
        (["wait="], 60),
        (['wait=""'], 60),
        (["wait=60"], 60),
        (["wait=61"], 60),
        (["wait=" + "9" * 900], 60),
        (["wait=0"], 0),
        (["wait=-5"], 0),
        (["wait=1.5"], 0),
        (["wait=٣"], 0),
        (["wait=soon"], 0),
        (["await=9, wait-for=9"], 0),
        (["wait=10; strict; because=it=must"], 10),
        (["return=minimal, wait=10"], 10),
        (['note="a, wait=20", wait=10'], 10),
        (['note="a \\", wait=20", wait=10'], 10),
        (["wait=10, wait=20"], 10),
        (["wait=soon, wait=20"], 0),
        (["handling=lenient", "wait=10", "wait=20"], 10),
        ([",, ;, =, wait=10"], 10),
        (["x" * 5000, "wait=10"], 0),
    ],
)
def test_the_wait_is_read_as_the_standard_says(values: list[str], wait_seconds: int) -> None:
    assert parse_preferences(values).wait_seconds == wait_seconds


@pytest.mark.parametrize("value", ["respond-async", "Respond-Async", "wait=5, respond-async", "respond-async;x=1, y"])
def test_an_answer_at_once_can_be_preferred(value: str) -> None:
    assert parse_preferences([value]).respond_async


@pytest.mark.parametrize("value", ["", "respond", "respond-async-please", 'note="respond-async"', "a=respond-async"])
def test_what_only_resembles_it_is_ignored(value: str) -> None:
    assert not parse_preferences([value]).respond_async


@pytest.mark.parametrize(
    ("preferences", "applied"),
    [
        (Preferences(), None),
        (Preferences(10), "wait=10"),
        (Preferences(0, True), "respond-async"),
        (Preferences(10, True), "respond-async, wait=10"),
    ],
)
def test_the_answer_says_what_was_heeded(preferences: Preferences, applied: str | None) -> None:
    assert preferences.applied == applied
    assert preferences.headers == ({} if applied is None else {"Preference-Applied": applied})
