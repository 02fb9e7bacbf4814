"""Every error has a name of its own and a sentence."""

import re
from collections import Counter

import pytest

from shared import errors
from shared.errors import TurnoError
from tests.shared.make import error_classes


def test_no_two_errors_share_a_code() -> None:
    assert [code for code, times in Counter(error.code for error in error_classes()).items() if times > 1] == []


@pytest.mark.parametrize("error", error_classes())
def test_an_error_has_a_slug_for_a_code(error: type[TurnoError]) -> None:
    assert "code" in vars(error), "inherited from its parent"
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", error.code)


@pytest.mark.parametrize("error", [found for found in error_classes() if found is not TurnoError])
def test_an_errors_docstring_is_one_sentence_for_people(error: type[TurnoError]) -> None:
    assert "__doc__" in vars(error)
    assert re.fullmatch(r"[A-Z].*\.", error.title())


def test_the_roots_sentence_can_be_shown_to_people_too() -> None:
    assert "subclass" not in TurnoError.title(), "the title of a 500 speaks of Python classes"


@pytest.mark.parametrize("error", error_classes())
def test_an_error_without_detail_says_its_sentence(error: type[TurnoError]) -> None:
    assert error().detail == str(error()) == error.title()
    assert error("More to say.").detail == str(error("More to say.")) == "More to say."


def test_the_tree_drawn_on_top_names_every_error() -> None:
    drawn = set(re.findall(r"\b[A-Z][A-Za-z]+\b", (errors.__doc__ or "").split("OperatorError")[0]))
    assert {error.__name__ for error in error_classes()} - drawn == set()
