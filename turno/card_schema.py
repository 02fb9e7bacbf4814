"""The card as JSON Schema, by which editors complete and check card.toml, and as the table of docs/model-card.md."""

import json
import re
from dataclasses import MISSING, fields
from typing import Any, Final

from shared.cards import Card
from shared.cardwords import CHOICES, INPUT, LABEL, NUMBERS, OUTPUT, REQUIRED, TOP

ABOUT: Final = {
    "name": "For people; the service calls the model by its folder's name.",
    "version": "For people, and in every result.",
    "file": "The model, beside the card: a file, or the folder of a SavedModel.",
    "sha256": "Of the file; without it the card takes whatever lies there.",
    "description": "For people.",
    "licence": "Of the model.",
    "derived": "Entries that were read off the model's file, each with what was found there.",
    "assumed": "Entries that nobody told, and that were taken as the default.",
    "verified": "Written by `turno models verify`: engine, precision, and how far its answers are from Keras'.",
    "checked": "Written by `turno models check`: on how many labelled photos the contract was found right.",
    "width_px": "Width of the model's input, by name, so that nobody can swap it with the height.",
    "height_px": "Height of the model's input.",
    "channels": "3, or 1 for a model of grey pictures.",
    "color_order": "Of the channels; BGR where training read photos with OpenCV, and for the scale caffe.",
    "scale": "What training did to the pixels outside the model.",
    "mean": "For scale custom: subtracted, one number for each channel, of pixels from 0 to 255.",
    "deviation": "For scale custom: what is left is divided by it, one number for each channel.",
    "interpolation": "The resize filter of training.",
    "antialias": "false where training shrank with tf.image.resize or OpenCV, which look at few of many pixels.",
    "fit": "How a photo of another aspect becomes width × height.",
    "exif": "Whether the camera's rotation is applied; Keras' and TensorFlow's loaders ignore it.",
    "jpeg_decoder": "Whose pixels of a JPEG: tensorflow where training read it with tf.io or tf.keras.utils.",
    "activation": "What the outputs are.",
    "temperature": "Calibration, fitted on validation photos: probability = softmax(log(p) / temperature).",
    "diagnosed_at": "Calibrated probability from which the verdict is diagnosed, and below it uncertain.",
    "not_recognised_at": "The same, of all labels with `recognised = false` together, for the verdict not_recognised.",
    "tolerance": "Largest move of any probability that a reduced precision may cause.",
}
ABOUT_LABELS: Final = {
    "id": "What `predicted_class` says.",
    "recognised": "false: this class means that the photo is not what the model is for.",
    "name": "For people, by language.",
    "advice": "What it means and what to do next, by language.",
}
_TABLE: Final = re.compile(
    r"(<!-- generated from turno/card_schema\.py by `make docs` -->\n).*?(<!-- end -->)", re.DOTALL
)
_DEFAULTS: Final = {
    field.name: field.default
    for field in fields(Card)
    if field.default is not MISSING and field.default not in ("", ())
}
_TEXTS_BY_LANGUAGE: Final = {"type": "object", "additionalProperties": {"type": "string"}}
_SIDE: Final = {"type": "integer", "minimum": 1, "maximum": 8192}
_INSIDE: Final = r"^(?!/)(?!(.*/)?\.\.(/|$))(?!\.?/*$)"  # no absolute path, no .., and not the folder itself


def schema_text() -> str:
    """The text of docs/card.schema.json."""
    return json.dumps(card_schema(), indent=2, ensure_ascii=False) + "\n"


def card_schema() -> dict[str, Any]:
    """What a card.toml may say, as JSON Schema draft 7, which the TOML plugins of editors know."""
    label: dict[str, dict[str, Any]] = {
        "id": {"type": "string", "minLength": 1},
        "recognised": {"type": "boolean", "default": True},
        "name": _TEXTS_BY_LANGUAGE,
        "advice": _TEXTS_BY_LANGUAGE,
    }
    described = {key: {"description": ABOUT_LABELS[key], **label[key]} for key in _ordered(label, LABEL)}
    labels = {
        "type": "array",
        "minItems": 2,
        "description": "One for each output, in output order.",
        "items": {"type": "object", "additionalProperties": False, "required": ["id"], "properties": described},
    }
    custom = {"properties": {"scale": {"const": "custom"}}, "required": ["scale"]}
    own = {"required": ["mean", "deviation"]}
    neither = {"properties": {"mean": {"maxItems": 0}, "deviation": {"maxItems": 0}}}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Turno model card",
        "description": "The contract between a trained model and whoever feeds or reads it: docs/model-card.md.",
        **_table(TOP),
        "properties": {
            **_table(TOP)["properties"],
            "input": {**_table(INPUT), "if": custom, "then": own, "else": neither},
            "output": _table(OUTPUT),
            "labels": labels,
        },
        "required": [*(key for key in REQUIRED if key in TOP), "input", "labels"],
    }


def with_entries(page: str) -> str:
    """The page about the card with the table of its entries as the code has them now."""
    rows = [
        f"| `{f'{table}.' if table else ''}{key}` | {_values(key)} | {_default(key)} | {ABOUT[key]} |"
        for table, keys in (("", TOP), ("input", INPUT), ("output", OUTPUT))
        for key in _ordered(ABOUT, keys)
    ]
    rows += [
        f"| `labels.{key}` | | {'`true`' if key == 'recognised' else ''} | {ABOUT_LABELS[key]} |"
        for key in ABOUT_LABELS
    ]
    table = "\n".join(("| entry | one of | default | what it says |", "|---|---|---|---|", *rows))
    return _TABLE.sub(lambda match: f"{match[1]}\n{table}\n\n{match[2]}", page)


def _table(keys: set[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [key for key in REQUIRED if key in keys],
        "properties": {key: {"description": ABOUT[key], **_entry(key)} for key in _ordered(ABOUT, keys)},
    }


def _entry(key: str) -> dict[str, Any]:
    default = {"default": _DEFAULTS[key]} if key in _DEFAULTS else {}
    if key in CHOICES:
        return {"enum": list(CHOICES[key]), **default}
    ranges = {name: {"type": "number", "minimum": low, "maximum": high} for name, low, high in NUMBERS}
    number: dict[str, Any] = {"type": "number"}
    numbers = {"mean": number, "deviation": {**number, "exclusiveMinimum": 0}}
    if key in numbers:
        return {"type": "array", "items": numbers[key], "maxItems": 3}
    if key in ranges:
        return {**ranges[key], **default}
    if key in ("width_px", "height_px"):
        return dict(_SIDE)
    if key in ("derived", "assumed"):
        return {"type": "array", "items": {"type": "string"}}
    if key in ("verified", "checked"):
        return {"type": "object"}
    return {"type": "string", **({"pattern": _INSIDE} if key == "file" else {})}


def _ordered(order: dict[str, Any], keys: set[str]) -> list[str]:
    return [key for key in order if key in keys]


def _values(key: str) -> str:
    return ", ".join(f"`{json.dumps(choice)}`".replace('"', "") for choice in CHOICES.get(key, ()))


def _default(key: str) -> str:
    if key in REQUIRED:
        return "must be told"
    return f"`{json.dumps(_DEFAULTS[key])}`".replace('"', "") if key in _DEFAULTS else ""
