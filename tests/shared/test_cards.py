"""A card is taken whole or refused with the entry and the file."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from shared.cards import CardError, Label, card_from_dict, load_card, parse_card
from tests.conftest import LEAF_HEALTH

CARD = """
name = "leaf"
version = "2"
file = "leaf.keras"
sha256 = "ab"
[input]
width_px = 500
height_px = 720
scale = "none"
color_order = "BGR"
interpolation = "nearest"
exif = "ignore"
[output]
temperature = 2
diagnosed_at = 0.8
[[labels]]
id = "healthy"
name = { en = "Healthy" }
[[labels]]
id = "scooter"
recognised = false
"""


def _document(**changes: Any) -> dict[str, Any]:
    labels: list[Any] = [{"id": "a"}, {"id": "b"}]
    entries = {"name": "leaf", "version": "1", "file": "leaf.keras", "labels": labels}
    return {**entries, "input": {"width_px": 4, "height_px": 3, "scale": "none"}, **changes}


def test_a_card_says_what_its_file_says(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_text(CARD)
    card = load_card(path)
    assert (card.name, card.version, card.file, card.sha256) == ("leaf", "2", "leaf.keras", "ab")
    assert (card.width_px, card.height_px, card.channels) == (500, 720, 3)
    assert (card.scale, card.color_order, card.interpolation, card.exif) == ("none", "BGR", "nearest", "ignore")
    assert (card.temperature, card.diagnosed_at, card.activation) == (2, 0.8, "softmax")
    assert card.labels == (Label("healthy", name={"en": "Healthy"}), Label("scooter", recognised=False))
    assert card.label_ids == ["healthy", "scooter"]


def test_the_bundled_card_comes_back_from_json_as_it_was() -> None:
    card = load_card(LEAF_HEALTH / "card.toml")
    assert card_from_dict(json.loads(json.dumps(asdict(card)))) == card


def test_a_card_comes_back_from_json_with_what_was_assumed() -> None:
    entries = {**asdict(parse_card(_document())), "assumed": ["exif: apply"]}
    assert card_from_dict(json.loads(json.dumps(entries))).assumed == ("exif: apply",)


def _in(table: str, **changes: Any) -> dict[str, Any]:
    return _document(**{table: {**_document().get(table, {}), **changes}})


def _without(key: str) -> dict[str, Any]:
    document = _document()
    del (document if key in document else document["input"])[key]
    return document


BAD: dict[str, tuple[dict[str, Any], str]] = {
    **{f"no {key}": (_without(key), key) for key in ("name", "version", "file", "width_px", "height_px", "scale")},
    "no labels": (_document(labels=[]), "two labels"),
    "one label": (_document(labels=[{"id": "a"}]), "two labels"),
    "labels of one name": (_document(labels=[{"id": "a"}, {"id": "a"}]), "same id"),
    "label without id": (_document(labels=[{"id": "a"}, {"name": {"en": "B"}}]), "no id"),
    "label with an unknown entry": (_document(labels=[{"id": "a", "colour": "red"}]), "labels.colour"),
    "unknown entry": (_document(colour="red"), "colour"),
    "unknown input": (_in("input", average=3), "input.average"),
    "unknown output": (_in("output", top=3), "output.top"),
    "scale": (_in("input", scale="1/256"), "scale"),
    "color order": (_in("input", color_order="GRB"), "color_order"),
    "interpolation": (_in("input", interpolation="cubic"), "interpolation"),
    "exif": (_in("input", exif="maybe"), "exif"),
    "activation": (_in("output", activation="tanh"), "activation"),
    "channels": (_in("input", channels=4), "channels"),
    "width of none": (_in("input", width_px=0), "width_px"),
    "width in parts": (_in("input", width_px=4.5), "width_px"),
    "width that is true": (_in("input", width_px=True), "width_px"),
    "height beyond": (_in("input", height_px=8193), "height_px"),
    "temperature of none": (_in("output", temperature=0), "temperature"),
    "temperature not a number": (_in("output", temperature=float("nan")), "temperature"),
    "threshold beyond": (_in("output", diagnosed_at=1.01), "diagnosed_at"),
    "threshold in words": (_in("output", diagnosed_at="high"), "diagnosed_at"),
    "tolerance below": (_in("output", tolerance=-0.1), "tolerance"),
    "input that is no table": (_document(input=3), "input"),
    "label that is no table": (_document(labels=["a", "b"]), "label"),
    "label that is a number": (_document(labels=[1, 2]), "label"),
    "name that is no text": (_document(name=5), "name"),
    "file that is no text": (_document(file=5), "file"),
    "translations that are no table": (_document(labels=[{"id": "a", "name": "A"}, {"id": "b"}]), "name"),
    "recognised in words": (_document(labels=[{"id": "a", "recognised": "no"}, {"id": "b"}]), "recognised"),
    "channels that are true": (_in("input", channels=True), "channels"),
    "grey with three means": (_in("input", channels=1, scale="imagenet"), "scale"),
    "custom without numbers": (_in("input", scale="custom"), "mean"),
    "numbers without custom": (_in("input", mean=[1, 2, 3], deviation=[1, 1, 1]), "mean"),
    "one mean for three channels": (_in("input", scale="custom", mean=[1], deviation=[1, 1, 1]), "mean"),
    "a deviation of zero": (_in("input", scale="custom", mean=[1, 1, 1], deviation=[1, 1, 0]), "deviation"),
    "no fit": (_in("input", fit="squeeze"), "fit"),
    "antialias as a number": (_in("input", antialias=1), "antialias"),
    "box without antialias": (_in("input", interpolation="box", antialias=False), "antialias"),
    "a mean that is no number": (_in("input", scale="custom", mean=[float("nan")] * 3, deviation=[1, 1, 1]), "mean"),
    "a deviation without end": (_in("input", scale="custom", mean=[1] * 3, deviation=[float("inf")] * 3), "deviation"),
    "a file above": (_document(file="../leaf.keras"), "file"),
    "a file below and above": (_document(file="a/../../leaf.keras"), "file"),
    "a file from the root": (_document(file="/leaf.keras"), "file"),
    "the folder itself": (_document(file="."), "file"),
    "a file of no name": (_document(file=""), "file"),
    "a file with a line end": (_document(file="leaf\n.keras"), "file"),
    "assumptions that are no texts": (_document(assumed=[1]), "assumed"),
    "findings that are no table": (_document(verified="yes"), "verified"),
    "a threshold above one": (_in("output", not_recognised_at=1.1), "not_recognised_at"),
}


@pytest.mark.parametrize(("document", "entry"), BAD.values(), ids=BAD)
def test_an_impossible_card_is_refused_and_the_entry_named(document: dict[str, Any], entry: str) -> None:
    with pytest.raises(CardError, match=re.escape(entry)):
        parse_card(document)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (CARD.replace("500", "0"), "width_px"),
        (CARD.replace("[output]", "[outputs]"), "outputs"),
        ("name = ", "value"),
        ("\x00", "card.toml"),
    ],
)
def test_a_refusal_names_the_file(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_text(text)
    with pytest.raises(CardError, match=re.escape(reason)) as refused:
        load_card(path)
    assert str(path) in str(refused.value)


def test_a_missing_or_unreadable_card_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'name = "hoja sana \xf1"')
    for path in (tmp_path / "card.toml", tmp_path, tmp_path / "latin.toml"):
        with pytest.raises(CardError, match=re.escape(str(path))):
            load_card(path)


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence"),
    [
        ('scale = "none"', 'scale = "1/256"', 8, "scale is '1/256'; it must be one of .*mean 1/255\\?"),
        ('exif = "ignore"', 'exif = "Apply"', 11, "did you mean apply"),
        ('interpolation = "nearest"', 'interpolatoin = "nearest"', 10, "did you mean interpolation"),
        ("width_px = 500", "width = 500", 6, "did you mean width_px"),
        ("width_px = 500", "shape = [500, 720]", 6, "by name, width_px and height_px"),
        ("width_px = 500", "", 5, r"width_px is missing from \[input\]"),
        ("temperature = 2", "scale = 2", 13, r"output.scale is in the wrong place; it belongs under \[input\]"),
        ("temperature = 2", 'licence = "MIT"', 13, "above the first table"),
        ('version = "2"', "", 1, "version is missing"),
        ("recognised = false", "recognized = false", 20, "did you mean recognised"),
        ("recognised = false", 'recognised = "no"', 20, "recognised of scooter must be"),
        ('id = "scooter"', 'id = "healthy"', 19, "two labels have the same id, healthy"),
        ('id = "scooter"', "", 18, "a label has no id"),
        ("temperature = 2", "temperature = 0", 13, "temperature is 0"),
        ("temperature = 2", "temperature = ", 13, "Invalid value"),
    ],
)
def test_a_refusal_names_the_line_and_what_was_meant(
    old: str, new: str, line: int, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "card.toml"
    path.write_text(CARD.strip().replace(old, new))
    with pytest.raises(CardError, match=f"^{re.escape(str(path))}, line {line}: .*{sentence}"):
        load_card(path)


def test_what_was_found_out_about_a_card_is_no_part_of_its_contract() -> None:
    found = {"verified": {"at": "2026-11-22"}, "checked": {"photos": 3}, "derived": ["a: b"], "assumed": ["c: d"]}
    known = parse_card(_document(**found))
    assert known != parse_card(_document())
    assert known.contract == parse_card(_document()).contract
    assert known.contract != parse_card(_in("input", scale="1/255")).contract


def test_a_card_that_an_editor_began_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text(CARD, encoding="utf-8-sig")
    assert load_card(tmp_path / "card.toml").name == "leaf"
