"""The model this deployment serves: its folder or bare file, and the card that was declared or derived."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from shared.cards import SCALES, Card, CardError, Label, check_card, load_card
from shared.errors import OperatorError
from shared.models import served_model_name
from shared.settings import Settings

_CARD = "card.toml"


@dataclass(frozen=True, slots=True)
class Golden:
    """A labelled image whose probabilities were recorded when the model was trained."""

    path: Path
    label: str
    probabilities: list[float]


@dataclass(frozen=True, slots=True)
class Source:
    """A model as its operator gave it; `card` is None for a bare file."""

    name: str
    file: Path
    card: Card | None
    golden: tuple[Golden, ...]


def find_source(settings: Settings) -> Source:
    """What `MODEL_PATH` points at.

    Raises:
        OperatorError: nothing there, or a card that does not fit the file.
    """
    path, name = Path(settings.model_path), served_model_name(settings)
    if not path.exists():
        raise OperatorError(f"MODEL_PATH: there is nothing at {path}.")
    if path.is_dir() and (path / _CARD).exists():
        return _from_folder(path, name)
    if path.is_file() and (path.parent / _CARD).exists() and _card_in(path.parent).file == path.name:
        return _from_folder(path.parent, name)
    if path.suffix not in (".keras", ".h5") and not (path / "saved_model.pb").exists():
        raise OperatorError(
            f"MODEL_PATH: {path} is neither a folder with {_CARD}, nor a .keras or .h5 file, nor a SavedModel."
        )
    return Source(name, path, None, ())


def file_digest(path: Path) -> str:
    """SHA-256 of a file, or of all files of a SavedModel folder in name order; lower-case hex."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the file itself says; sizes in pixels, None where any size is taken."""

    width_px: int | None
    height_px: int | None
    channels: int
    outputs: int
    rescales: bool  # a Rescaling or Normalization layer is inside: pixels go in as 0–255


def require_fit(card: Card, facts: ModelFacts) -> None:
    """Passes a card whose sizes and labels are those of the model.

    Raises:
        OperatorError: names what differs.
    """
    for side in ("width_px", "height_px", "channels"):
        if getattr(facts, side) not in (None, getattr(card, side)):
            raise OperatorError(
                f"The card says {side} = {getattr(card, side)}, the model takes {getattr(facts, side)}."
            )
    if facts.outputs != (1 if card.activation == "sigmoid" else len(card.labels)):
        raise OperatorError(f"The card has {len(card.labels)} labels, the model has {facts.outputs} outputs.")


def derive_card(source: Source, settings: Settings, digest: str, facts: ModelFacts) -> Card:
    """The card of a bare file, from the settings and from what the file says.

    Raises:
        OperatorError: something that must be known is not; says which setting tells it.
    """
    assumed = [f"interpolation: {settings.model_interpolation}", "exif: apply", "color_order: RGB", "no calibration"]
    labels = [label for label in map(str.strip, settings.labels.split(",")) if label]
    expected = 2 if facts.outputs == 1 else facts.outputs
    if len(labels) != expected:
        raise OperatorError(
            f"The model {source.file.name} has {expected} classes and LABELS names {len(labels)}: "
            "set LABELS to the classes, comma-separated, in the order of training (Keras: alphabetical by folder)."
        )
    scale = settings.model_scale
    if not scale and facts.rescales:
        scale = "none"
        assumed.append("scale: none, for the model rescales by itself")
    elif facts.rescales and scale != "none":
        assumed.append(f"scale: {scale} was asked for, and the model rescales once more by itself")
    if scale not in SCALES:
        raise OperatorError(
            f"How the pixels of {source.file.name} are scaled is not known: set MODEL_SCALE to what training did, "
            f"one of {', '.join(SCALES)}."
        )
    try:
        return check_card(
            Card(
                name=source.name,
                version=digest[:12],
                file=source.file.name,
                sha256=digest,
                width_px=_side("width", facts.width_px, settings.image_width_px),
                height_px=_side("height", facts.height_px, settings.image_height_px),
                channels=facts.channels,
                labels=tuple(Label(label) for label in labels),
                scale=scale,
                interpolation=settings.model_interpolation,
                activation="sigmoid" if facts.outputs == 1 else "softmax",
                assumed=tuple(assumed),
            )
        )
    except CardError as error:
        raise OperatorError(f"No card can be derived for {source.file.name}: {error}.") from error


def _side(name: str, found: int | None, given: int) -> int:
    if found is not None:
        if given not in (0, found):
            raise OperatorError(
                f"IMAGE_{name.upper()}_PX is {given}, but the model takes images with a {name} of {found} pixels."
            )
        return found
    if not given:
        raise OperatorError(f"The model takes images of any {name}: set IMAGE_{name.upper()}_PX to that of training.")
    return given


def _card_in(folder: Path) -> Card:
    try:
        return load_card(folder / _CARD)
    except CardError as error:
        raise OperatorError(f"The model card cannot be used: {error}.") from error


def _from_folder(folder: Path, name: str) -> Source:
    card = _card_in(folder)
    file = folder / card.file
    if not file.exists():
        raise OperatorError(f"The card names {card.file}, and there is no such file in {folder}.")
    golden_file = folder / "golden" / "golden.json"
    golden = json.loads(golden_file.read_text()) if golden_file.exists() else []
    return Source(
        name,
        file,
        card,
        tuple(Golden(folder / "golden" / entry["file"], entry["label"], entry["probabilities"]) for entry in golden),
    )
