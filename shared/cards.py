"""The model card: the contract between a trained model and everyone who feeds or reads it.

Standard library only, so that the API can read a card without any model runtime.
The file format is documented in docs/model-card.md.
"""

import math
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import shared.cardwords as words
from shared.cardlines import Place, line_of, lines_of, syntax_fault
from shared.cardwords import did_you_mean

__all__ = [
    "Card", "CardError", "Label", "card_from_dict", "check_card", "load_card", "parse_card",
]  # fmt: skip


class CardError(ValueError):
    """A card that cannot be trusted; the message names the entry, and of a file the file and the line."""

    def __init__(self, sentence: str, place: Place = ()) -> None:
        super().__init__(sentence)
        self.place = place


@dataclass(frozen=True, slots=True)
class Label:
    """One class, at the place the model puts it."""

    id: str
    recognised: bool = True  # False: this class means "not what the model is for"
    name: dict[str, str] = field(default_factory=dict)  # by language
    advice: dict[str, str] = field(default_factory=dict)  # by language


@dataclass(frozen=True, slots=True)
class Card:
    """What must be known to feed a model and to read its answer; sizes in pixels."""

    name: str
    version: str
    file: str
    width_px: int
    height_px: int
    labels: tuple[Label, ...]
    sha256: str = ""  # of the file; empty binds the card to whatever lies under that name
    channels: int = 3
    color_order: str = "RGB"
    scale: str = "1/255"
    mean: tuple[float, ...] = ()  # by channel, for scale custom
    deviation: tuple[float, ...] = ()
    interpolation: str = "bilinear"
    antialias: bool = True  # False: of a large image single pixels are looked at, as tf.image and OpenCV do
    fit: str = "stretch"
    exif: str = "apply"
    jpeg_decoder: str = "pillow"
    activation: str = "softmax"
    temperature: float = 1.0  # probability = softmax(log(p) / temperature)
    diagnosed_at: float = 0.5  # calibrated probability from which the verdict is "diagnosed"
    not_recognised_at: float = 0.5  # the same, of all labels together that are not recognised
    tolerance: float = 0.01  # largest move of any probability that reduced precision may cause
    description: str = ""
    licence: str = ""
    derived: tuple[str, ...] = ()  # entries that were read off the model's file, each with what was found there
    assumed: tuple[str, ...] = ()  # what nobody declared and was taken as the default
    verified: dict[str, Any] = field(default_factory=dict)  # what `turno models verify` measured
    checked: dict[str, Any] = field(default_factory=dict)  # what `turno models check` found on labelled photos

    @property
    def label_ids(self) -> list[str]:
        """The labels in output order."""
        return [label.id for label in self.labels]

    @property
    def contract(self) -> "Card":
        """The card without what was merely found out about it: two cards of one contract are one model."""
        return replace(self, derived=(), assumed=(), verified={}, checked={})


def load_card(path: Path) -> Card:
    """The card in a TOML file.

    Raises:
        CardError: missing, unreadable, or an entry is missing, unknown or out of range; names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = tomllib.loads(text)
    except FileNotFoundError as error:
        raise CardError(f"{path}: there is no card here") from error
    except tomllib.TOMLDecodeError as error:
        line, fault = syntax_fault(str(error), text)
        raise CardError(f"{path}, line {line}: {fault}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CardError(f"{path}: {error}") from error
    try:
        return parse_card(document)
    except CardError as error:
        raise CardError(f"{path}, line {line_of(lines_of(text), error.place)}: {error}", error.place) from error


def parse_card(document: dict[str, Any]) -> Card:
    """The card in a parsed TOML document, every entry checked."""
    entries = {key: value for key, value in document.items() if key not in ("input", "output", "labels")}
    _known(entries, words.TOP, ())
    for name in ("input", "output"):
        table = document.get(name, {})
        if not isinstance(table, dict):
            raise CardError(f"{name} must be a table: [{name}]", (name,))
        _known(table, words.TABLES[name], (name,))
        entries |= table
    for key in words.REQUIRED:
        if key not in entries:
            table = _table_of(key)
            raise CardError(f"{key} is missing{f' from [{table}]' if table else ''}", _place(key))
    labels = document.get("labels", [])
    if not isinstance(labels, list):
        raise CardError("labels must be tables: one [[labels]] for each output", ("labels",))
    labels = tuple(_label(entry, ("labels", number)) for number, entry in enumerate(labels))
    for key in words.LISTS:
        if not isinstance(entries.get(key, []), list):
            raise CardError(f"{key} is {entries[key]!r}; it must be a list", _place(key))
    return check_card(_card(entries, labels))


def card_from_dict(entries: dict[str, Any]) -> Card:
    """The card that `dataclasses.asdict` made this of, by way of JSON."""
    return _card(entries, tuple(Label(**label) for label in entries["labels"]))


def _card(entries: dict[str, Any], labels: tuple[Label, ...]) -> Card:
    lists = {key: tuple(entries[key]) for key in words.LISTS if key in entries}
    return Card(**{**entries, **lists, "labels": labels})


def check_card(card: Card) -> Card:
    """The same card, once every value is known to be possible.

    Raises:
        CardError: names the first entry that is not.
    """
    for key in words.TEXTS:
        if not isinstance(value := getattr(card, key), str):
            raise _refused(key, value, "text")
    for key, choices in words.CHOICES.items():
        value = getattr(card, key)
        if value not in choices or type(value) is not type(choices[0]):  # True is no 1
            known = [str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in choices]
            raise _refused(key, value, f"one of {', '.join(known)}", did_you_mean(value, known))
    for key in ("width_px", "height_px"):
        value = getattr(card, key)
        if type(value) is not int or not 1 <= value <= 8192:
            raise _refused(key, value, "a whole number of pixels from 1 to 8192")
    for key, low, high in words.NUMBERS:
        value = getattr(card, key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise _refused(key, value, f"a number from {low} to {high}")
    file = PurePosixPath(card.file)
    if not file.parts or file.is_absolute() or ".." in file.parts or not card.file.isprintable():
        raise _refused("file", card.file, "the name of a file or folder beside the card")
    for key in ("derived", "assumed"):
        if not all(isinstance(text, str) for text in getattr(card, key)):
            raise _refused(key, list(getattr(card, key)), "a list of texts")
    for key in ("verified", "checked"):
        if not isinstance(value := getattr(card, key), dict):
            raise _refused(key, value, f"a table: [{key}]")
    if not card.antialias and card.interpolation in words.ALWAYS_AVERAGE:
        raise CardError(
            f"interpolation {card.interpolation} averages by nature: antialias is true", _place("antialias")
        )
    _check_colors(card)
    return _check_labels(card)


def _check_colors(card: Card) -> None:
    if card.channels == 1 and (card.scale in ("imagenet", "caffe") or card.color_order != "RGB"):
        raise CardError(
            f"scale {card.scale} and color_order {card.color_order} are for 3 channels, channels is 1",
            _place("color_order" if card.color_order != "RGB" else "scale"),
        )
    if (card.scale == "custom") != bool(card.mean and card.deviation):
        place = _place("scale" if card.scale == "custom" else "mean" if card.mean else "deviation")
        raise CardError(
            "mean and deviation, one number for each channel, belong to scale custom and to no other", place
        )
    for key in ("mean", "deviation"):
        value = getattr(card, key)
        numbers = all(type(one) in (int, float) and math.isfinite(one) for one in value)
        if value and (len(value) != card.channels or not numbers):
            raise _refused(key, list(value), "one number for each channel")
    if any(one <= 0 for one in card.deviation):
        raise CardError("deviation: every number must be above 0", _place("deviation"))


def _check_labels(card: Card) -> Card:
    if len(card.labels) < 2:
        raise CardError("at least two labels are needed, in the order of the model's outputs", ("labels",))
    for number, label in enumerate(card.label_ids):
        if label in card.label_ids[:number]:
            raise CardError(f"two labels have the same id, {label}", ("labels", number, "id"))
    return card


def _refused(key: str, value: Any, wanted: str, hint: str = "") -> CardError:
    return CardError(f"{key} is {value!r}; it must be {wanted}{hint}", _place(key))


def _place(key: str) -> Place:
    """Where an entry stands, or should."""
    return (table, key) if (table := _table_of(key)) else (key,)


def _table_of(key: str) -> str | None:
    return next((table for table, keys in words.TABLES.items() if key in keys), None)


def _known(entries: dict[str, Any], allowed: set[str], place: Place) -> None:
    for key in entries:
        if key in allowed:
            continue
        name = ".".join((*(str(part) for part in place if isinstance(part, str)), key))
        table = _table_of(key)
        if table is not None and place[:1] != ("labels",):
            where = f"under [{table}]" if table else "above the first table"
            raise CardError(f"{name} is in the wrong place; it belongs {where}", (*place, key))
        hint = did_you_mean(key, allowed) or did_you_mean(key, words.EVERY if place[:1] != ("labels",) else ())
        hint = hint or f"; known are {', '.join(sorted(allowed))}"
        raise CardError(f"{name} is not an entry of a card{hint}", (*place, key))


def _label(entry: Any, place: Place) -> Label:
    if not isinstance(entry, dict):
        raise CardError(f"labels: {entry!r} is no table: write [[labels]] with an id", place)
    _known(entry, words.LABEL, place)
    if not isinstance(entry.get("id"), str) or not entry["id"]:
        raise CardError("labels.id: a label has no id, or one that is no text", (*place, "id"))
    if not isinstance(entry.get("recognised", True), bool):
        raise CardError(f"labels.recognised of {entry['id']} must be true or false", (*place, "recognised"))
    for key in ("name", "advice"):
        texts = entry.get(key, {})
        if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
            sentence = f'labels.{key} of {entry["id"]} must be texts by language: {{ en = "…", es = "…" }}'
            raise CardError(sentence, (*place, key))
    return Label(**entry)
