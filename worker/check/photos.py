"""The labelled photos: a folder for each class, matched to the card's labels by name."""

import hashlib
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from shared.cards import Card
from shared.errors import OperatorError

_SEPARATORS = re.compile(r"[\s_-]+")
_SEED = 7  # the same photos are picked every time


@dataclass(frozen=True, slots=True)
class Photo:
    """One file and the place of its class among the card's labels."""

    path: Path
    label: int


@dataclass(slots=True)
class LabelledPhotos:
    """What was found in the folder."""

    photos: list[Photo]
    found: dict[str, int] = field(default_factory=dict)  # files in the folders, by label
    unknown: list[str] = field(default_factory=list)  # folders that no label is called like
    missing: list[str] = field(default_factory=list)  # labels without a photo
    doubled: list[str] = field(default_factory=list)  # files that hold the very picture of another one


def find_photos(folder: Path, card: Card, most: int) -> LabelledPhotos:
    """The photos in a folder for each class, at most so many of each class.

    Args:
        folder: its subfolders are called like the labels, by id or translated name; case, accents, spaces,
            hyphens and underscores do not count.

    Raises:
        OperatorError: there is no such folder, none of the labels has photos, or a folder's name fits two labels.
    """
    if not folder.is_dir():
        raise OperatorError(f"{folder} is no folder: give one that holds a folder of photos for each label.")
    names, found = _names(card), LabelledPhotos([])
    files: dict[int, list[Path]] = defaultdict(list)
    for subfolder in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        labels = names.get(_plain(subfolder.name), set())
        if len(labels) > 1:
            both = " and ".join(card.labels[label].id for label in sorted(labels))
            raise OperatorError(f"The folder {subfolder.name} fits the labels {both}: call it like an id in the card.")
        if not labels:
            found.unknown.append(subfolder.name)
            continue
        files[labels.pop()] += _files(subfolder)
    for label, entry in enumerate(card.labels):
        found.found[entry.id] = len(files[label])
        chosen = _some(files[label], most)
        found.photos += [Photo(path, label) for path in chosen]
        if not chosen:
            found.missing.append(entry.id)
    if not found.photos:
        raise OperatorError(
            f"{folder} has no photos of any label of {card.name}: "
            f"it must hold folders called {', '.join(card.label_ids)}."
        )
    _drop_doubles(found)
    return found


def _names(card: Card) -> dict[str, set[int]]:
    """Which labels are called so; an id goes before a translated name."""
    names: dict[str, set[int]] = defaultdict(set)
    for place, label in enumerate(card.labels):
        names[_plain(label.id)].add(place)
    ids = set(names)
    for place, label in enumerate(card.labels):
        for text in label.name.values():
            if _plain(text) not in ids:
                names[_plain(text)].add(place)
    return names


def _plain(name: str) -> str:
    """Without case, accents and separators; macOS takes accents apart, so that bytes cannot be compared."""
    parts = unicodedata.normalize("NFKD", name.casefold())
    return _SEPARATORS.sub("", "".join(part for part in parts if not unicodedata.combining(part)))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _some(files: list[Path], most: int) -> list[Path]:
    """Some of all: the first ones may all be of one camera."""
    if len(files) <= most:
        return files
    places = np.random.default_rng(_SEED).choice(len(files), most, replace=False)
    return [files[place] for place in sorted(places)]


def _drop_doubles(found: LabelledPhotos) -> None:
    """Keeps one of each picture, and none that lies in two classes: the statistics count on independent photos."""
    alike: dict[bytes, list[Photo]] = defaultdict(list)
    for photo in found.photos:
        alike[hashlib.blake2b(photo.path.read_bytes(), digest_size=16).digest()].append(photo)
    kept = {group[0] for group in alike.values() if len({photo.label for photo in group}) == 1}
    found.doubled = [str(photo.path) for photo in found.photos if photo not in kept]
    found.photos = [photo for photo in found.photos if photo in kept]
