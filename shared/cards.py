"""The model card: the contract between a trained model and everyone who feeds or reads it.

Standard library only, so that the API can read a card without any model runtime.
The file format is documented in docs/model-card.md.
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COLOR_ORDERS = ("RGB", "BGR")
INTERPOLATIONS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")  # Pillow's filters
# what the outputs are: probabilities that sum to one · one probability, of the second of two labels; or one for each
# label, which do not sum to one · raw numbers, of which softmax (or, of one alone, the logistic function) makes them
ACTIVATIONS = ("softmax", "sigmoid", "logits")
# none: 0–255 as decoded · 1/255: 0–1 · -1..1: x/127.5-1 (Keras mode "tf") · imagenet: mean and deviation
# of ImageNet after 1/255 (mode "torch") · caffe: ImageNet channel means subtracted from 0–255 (mode "caffe")
# per-image: by the image's own mean and deviation (tf.image.per_image_standardization)
# custom: (x - mean) / deviation with the card's own, of 0–255
SCALES = ("none", "1/255", "-1..1", "imagenet", "caffe", "per-image", "custom")
# the whole image at another aspect · the middle, cut to the aspect · the whole image on black
FITS = ("stretch", "crop", "pad")
EXIF_RULES = ("apply", "ignore")


class CardError(ValueError):
    """A card that cannot be trusted; the message names the file and the entry."""


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


_TOP = {"name", "version", "file", "sha256", "description", "licence", "derived", "assumed", "verified", "checked"}
_INPUT = {
    "width_px", "height_px", "channels", "color_order", "scale", "mean", "deviation", "interpolation", "antialias",
    "fit", "exif",
}  # fmt: skip
_OUTPUT = {"activation", "temperature", "diagnosed_at", "not_recognised_at", "tolerance"}
_NUMBERS = (
    ("temperature", 0.01, 100.0),
    ("diagnosed_at", 0.0, 1.0),
    ("not_recognised_at", 0.0, 1.0),
    ("tolerance", 0.0, 1.0),
)
_LISTS = ("mean", "deviation", "derived", "assumed")
_TEXTS = ("name", "version", "file", "sha256", "description", "licence")
_CHOICES = {
    "color_order": COLOR_ORDERS,
    "scale": SCALES,
    "interpolation": INTERPOLATIONS,
    "antialias": (True, False),
    "fit": FITS,
    "exif": EXIF_RULES,
    "activation": ACTIVATIONS,
    "channels": (1, 3),
}
_REQUIRED = ("name", "version", "file", "width_px", "height_px", "scale")


def load_card(path: Path) -> Card:
    """The card in a TOML file.

    Raises:
        CardError: missing, unreadable, or an entry is missing, unknown or out of range.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CardError(f"{path}: there is no card here") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CardError(f"{path}: {error}") from error
    try:
        return parse_card(document)
    except CardError as error:
        raise CardError(f"{path}: {error}") from error


def parse_card(document: dict[str, Any]) -> Card:
    """The card in a parsed TOML document, every entry checked."""
    entries = {key: value for key, value in document.items() if key not in ("input", "output", "labels")}
    _known(entries, _TOP, "")
    for name, allowed in (("input", _INPUT), ("output", _OUTPUT)):
        table = document.get(name, {})
        if not isinstance(table, dict):
            raise CardError(f"{name} must be a table: [{name}]")
        _known(table, allowed, f"{name}.")
        entries |= table
    for key in _REQUIRED:
        if key not in entries:
            raise CardError(f"{key} is missing")
    labels = document.get("labels", [])
    if not isinstance(labels, list):
        raise CardError("labels must be tables: one [[labels]] for each output")
    labels = tuple(_label(entry) for entry in labels)
    for key in _LISTS:
        if not isinstance(entries.get(key, []), list):
            raise CardError(f"{key} is {entries[key]!r}; it must be a list")
    return check_card(_card(entries, labels))


def card_from_dict(entries: dict[str, Any]) -> Card:
    """The card that `dataclasses.asdict` made this of, by way of JSON."""
    return _card(entries, tuple(Label(**label) for label in entries["labels"]))


def _card(entries: dict[str, Any], labels: tuple[Label, ...]) -> Card:
    lists = {key: tuple(entries[key]) for key in _LISTS if key in entries}
    return Card(**{**entries, **lists, "labels": labels})


def check_card(card: Card) -> Card:
    """The same card, once every value is known to be possible.

    Raises:
        CardError: names the first entry that is not.
    """
    for key in _TEXTS:
        if not isinstance(getattr(card, key), str):
            raise CardError(f"{key} is {getattr(card, key)!r}; it must be text")
    for key, choices in _CHOICES.items():
        value = getattr(card, key)
        if value not in choices or type(value) is not type(choices[0]):  # True is no 1
            raise CardError(f"{key} is {value!r}; it must be one of {', '.join(map(str, choices))}")
    for key in ("width_px", "height_px"):
        value = getattr(card, key)
        if type(value) is not int or not 1 <= value <= 8192:
            raise CardError(f"{key} is {value!r}; it must be a whole number of pixels from 1 to 8192")
    for key, low, high in _NUMBERS:
        value = getattr(card, key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise CardError(f"{key} is {value!r}; it must be a number from {low} to {high}")
    if card.channels == 1 and (card.scale in ("imagenet", "caffe") or card.color_order != "RGB"):
        raise CardError(f"scale {card.scale} and color_order {card.color_order} are for 3 channels, channels is 1")
    if (card.scale == "custom") != bool(card.mean and card.deviation):
        raise CardError("mean and deviation, one number for each channel, belong to scale custom and to no other")
    for key in ("mean", "deviation"):
        value = getattr(card, key)
        if value and (len(value) != card.channels or any(type(one) not in (int, float) for one in value)):
            raise CardError(f"{key} is {list(value)!r}; it must be one number for each channel")
    if any(one <= 0 for one in card.deviation):
        raise CardError("deviation: every number must be above 0")
    if len(card.labels) < 2:
        raise CardError("at least two labels are needed, in the order of the model's outputs")
    if len(set(card.label_ids)) != len(card.labels):
        raise CardError("two labels have the same id")
    return card


def _known(entries: dict[str, Any], allowed: set[str], prefix: str) -> None:
    for key in entries:
        if key not in allowed:
            raise CardError(f"{prefix}{key} is not an entry of a card; known are {', '.join(sorted(allowed))}")


def _label(entry: Any) -> Label:
    if not isinstance(entry, dict):
        raise CardError(f"labels: {entry!r} is no table: write [[labels]] with an id")
    _known(entry, {"id", "recognised", "name", "advice"}, "labels.")
    if not isinstance(entry.get("id"), str) or not entry["id"]:
        raise CardError("labels.id: a label has no id, or one that is no text")
    if not isinstance(entry.get("recognised", True), bool):
        raise CardError(f"labels.recognised of {entry['id']} must be true or false")
    for key in ("name", "advice"):
        texts = entry.get(key, {})
        if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
            raise CardError(f'labels.{key} of {entry["id"]} must be texts by language: {{ en = "…", es = "…" }}')
    return Label(**entry)
