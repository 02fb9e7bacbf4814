"""The schema that editors check cards by says what the code says."""

import tomllib
from typing import Any

import jsonschema_rs
import pytest

from tests.conftest import LEAF_HEALTH
from tests.meta.sources import ROOT
from tests.shared.test_cards import BAD, CARD
from turno.card_schema import card_schema, schema_text, with_entries

# what goes beyond one entry at a time
ONLY_THE_CODE = {
    "labels of one name", "grey with three means", "one mean for three channels", "box without antialias",
    "temperature not a number", "a mean that is no number", "a deviation without end", "a file with a line end",
}  # fmt: skip
SCHEMA = jsonschema_rs.validator_for(card_schema())


@pytest.mark.parametrize("name", sorted(BAD.keys() - ONLY_THE_CODE))
def test_an_impossible_card_is_refused_by_the_schema_too(name: str) -> None:
    assert not SCHEMA.is_valid(BAD[name][0])


@pytest.mark.parametrize("text", [CARD, (LEAF_HEALTH / "card.toml").read_text(encoding="utf-8")])
def test_a_good_card_is_good_by_the_schema(text: str) -> None:
    SCHEMA.validate(tomllib.loads(text))


@pytest.mark.parametrize(
    "changes",
    [
        {"scale": "custom", "mean": [1, 2, 3], "deviation": [1, 2, 3.5]},
        {"scale": "per-image", "antialias": False, "fit": "pad"},
    ],
)
def test_a_card_with_every_new_entry_is_good_by_the_schema(changes: dict[str, Any]) -> None:
    document = tomllib.loads(CARD)
    document["input"] |= changes
    document["output"] |= {"activation": "logits", "not_recognised_at": 0.4}
    SCHEMA.validate({**document, "file": "saved/model..keras", "verified": {"at": "2026-11-22"}, "derived": ["a: b"]})


def test_the_schema_in_the_documentation_is_the_codes() -> None:
    assert (ROOT / "docs" / "card.schema.json").read_text(encoding="utf-8") == schema_text(), "run `make docs`"


def test_the_page_about_the_card_lists_every_entry() -> None:
    page = (ROOT / "docs" / "model-card.md").read_text(encoding="utf-8")
    assert "| `input.antialias` |" in page
    assert with_entries(page) == page, "run `make docs`"
