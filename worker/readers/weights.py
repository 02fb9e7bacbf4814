"""The weights in Keras files, as HDF5 has them."""

import io
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

WEIGHTS = "model.weights.h5"  # in a .keras archive
_OLD_LIST = "_layer_checkpoint_dependencies"


def stored_weights(path: Path) -> Iterator[np.ndarray[Any, Any]]:
    """Every array in a model file, in no particular order."""
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            yield from _arrays(file["model_weights"])
        return
    with zipfile.ZipFile(path) as archive:
        if WEIGHTS in archive.namelist():
            with archive.open(WEIGHTS) as member, h5py.File(member) as file:
                yield from _arrays(file)


def copy_weights(source: IO[bytes], target: IO[bytes]) -> None:
    """Copies the weights of an archive, with the names that every Keras since 2.14 gives them.

    Keras 2.12 and 2.13 wrote the layers of a model under another name, and counted those with weights twice:
    conv2d, conv2d_2, conv2d_4. No later library reads that back.
    """
    with h5py.File(source) as old:
        if _OLD_LIST in old:
            renamed = io.BytesIO()
            with h5py.File(renamed, "w") as new:
                _copy_renamed(old, new)
            target.write(renamed.getbuffer())
            return
    source.seek(0)
    shutil.copyfileobj(source, target, 1 << 20)


def _copy_renamed(source: h5py.Group, target: h5py.Group) -> None:
    for name, entry in source.items():
        if isinstance(entry, h5py.Dataset):
            source.copy(entry, target, name)
        elif name == _OLD_LIST:
            layers, counts = target.create_group("layers"), dict[str, int]()
            for kind, place in sorted(map(_kind_and_place, entry)):
                number = counts[kind] = counts.get(kind, -1) + 1
                _copy_renamed(entry[_numbered(kind, place)], layers.create_group(_numbered(kind, number)))
        else:
            _copy_renamed(entry, target.create_group(name))


def _kind_and_place(name: str) -> tuple[str, int]:
    """("conv2d", 2) for "conv2d_2", and place 0 for "conv2d"."""
    match = re.fullmatch(r"(.+?)(?:_(\d+))?", name)
    assert match
    return match[1], int(match[2] or 0)


def _numbered(kind: str, place: int) -> str:
    return f"{kind}_{place}" if place else kind


def _arrays(group: h5py.Group) -> Iterator[np.ndarray[Any, Any]]:
    for entry in group.values():
        if isinstance(entry, h5py.Group):
            yield from _arrays(entry)
        else:
            yield entry[()]
