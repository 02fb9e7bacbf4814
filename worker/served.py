"""The model this deployment serves: its folder or bare file, and the card if there is one."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from shared.cards import Card, CardError, load_card
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
