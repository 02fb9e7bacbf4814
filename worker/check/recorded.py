"""The notebook's own answers: what the author's code got for some photos."""

import json
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import numpy as np

from shared.cards import Card
from shared.errors import ModelFault, OperatorError
from worker.check.evidence import Floats
from worker.check.photos import Photo
from worker.interpretation import class_probabilities

_MOST: Final = 24  # photos; the most unsure ones, whose numbers move first


@dataclass(frozen=True, slots=True)
class Recorded:
    """Photos, and the author's probabilities for them, (photos, labels)."""

    photos: list[Photo]
    probabilities: Floats
    absent: int  # answers whose photos are not here


def read_recorded(file: Path, images: Path, card: Card) -> Recorded:
    """The recorded answers to photos that lie below a folder.

    Args:
        file: JSON, `{"rust/IMG_1.jpg": [0.1, 0.9], …}`: what `model.predict` gave, by the photo's path, of which as
            much is looked at as it takes to find the photo.

    Raises:
        OperatorError: it is no such file, or not of these photos and this model.
    """
    rows, places = _read(file), _places(images)
    found: dict[Path, Floats] = {}
    for name, outputs in rows.items():
        if not (path := _find(name, places, images)):
            continue
        if path in found:
            raise OperatorError(f"{file} has two answers for {path}, one of them called {name}: leave one.")
        found[path] = _probabilities(outputs, card, f"{file}: the answer to {name}")
    if not found:
        raise OperatorError(
            f"{file}: none of its {len(rows)} photos lies in {images}. Name them by where they lie there, such as "
            f"rust/1.jpg; {next(iter(rows))!r} does not."
        )
    unsure = sorted(found, key=lambda path: float(found[path].max()))[:_MOST]
    probabilities = np.array([found[path] for path in unsure])
    return Recorded([Photo(path, 0) for path in unsure], probabilities, len(rows) - len(found))


def _probabilities(outputs: object, card: Card, what: str) -> Floats:
    try:
        with np.errstate(over="ignore"):
            return class_probabilities(np.asarray(outputs, np.float32).ravel(), card).astype(np.float64)
    except (ModelFault, TypeError, ValueError, OverflowError) as error:
        raise OperatorError(
            f"{what} is none of {card.name}, which has {len(card.labels)} labels and gives {card.activation}: record "
            "what model.predict gave, as it is."
        ) from error


def _read(file: Path) -> dict[str, object]:
    try:
        rows = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise OperatorError(f"{file} cannot be read as JSON: {error}.") from error
    if not isinstance(rows, dict) or not rows:
        raise OperatorError(
            f'{file} has to be a JSON object of photos and their answers: {{"rust/1.jpg": [0.1, 0.9]}}.'
        )
    return rows


def _places(images: Path) -> dict[tuple[str, ...], Path]:
    """Every file by the parts of its path below the folder; folders may be links."""
    paths = [path for entry in sorted(images.iterdir()) for path in (entry, *sorted(entry.rglob("*")))]
    return {_parts(str(path.relative_to(images))): path for path in paths if path.is_file()}


def _find(name: str, places: dict[tuple[str, ...], Path], images: Path) -> Path | None:
    """The photo that is called so, whatever folder the notebook had above `images`, or by its name alone."""
    wanted = _parts(name)
    for start in range(len(wanted)):
        if path := places.get(wanted[start:]):
            return path
    alike = [path for place, path in places.items() if wanted and place[-len(wanted) :] == wanted]
    if len(alike) > 1:
        raise OperatorError(f"{name} may be any of {len(alike)} photos in {images}: name it with its folder.")
    return alike[0] if alike else None


def _parts(name: str) -> tuple[str, ...]:
    """Folders and name, as Windows separates them, too; macOS takes accents apart."""
    return PurePosixPath(unicodedata.normalize("NFC", name).replace("\\", "/")).parts
