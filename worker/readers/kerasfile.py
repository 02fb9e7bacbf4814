"""What a Keras file says of itself, and copies of it with another configuration: zip, JSON and HDF5, no TensorFlow."""

import json
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from worker.readers import Unreadable
from worker.readers.weights import WEIGHTS, copy_weights

Layer = dict[str, Any]  # a layer as the configuration describes it: class_name, config, and often name, module, …

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_WRAPPED = ("layer", "cell", "forward_layer", "backward_layer", "backbone")  # keys under which one layer holds another
_SAVE_WHOLE = 'save the whole model with model.save("model.keras")'


@dataclass(frozen=True, slots=True)
class KerasFile:
    """A model file of Keras, by its content: files named .keras are HDF5 before Keras 2.12."""

    path: Path
    hdf5: bool
    version: tuple[int, ...]  # of the Keras that wrote it; empty where the file does not say
    config: Layer


def read_keras_file(path: Path) -> KerasFile:
    """Reads the version and the configuration.

    Raises:
        Unreadable: it is no Keras model, or only a part of one, or damaged.
    """
    with path.open("rb") as stream:
        magic = stream.read(8)
    try:
        if magic == _HDF5:
            version, config = _read_hdf5(path)
        elif magic.startswith(_ZIP):
            version, config = _read_zip(path)
        else:
            raise Unreadable("it is neither a .keras archive nor an HDF5 file: copy the model file again")
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise Unreadable("the file is truncated or damaged: copy it again from where it was trained") from error
    try:
        parsed = json.loads(config)
    except ValueError as error:
        raise Unreadable(f"its model configuration is damaged: {_SAVE_WHOLE}") from error
    if not isinstance(parsed, dict) or "class_name" not in parsed or "config" not in parsed:
        raise Unreadable(f"its model configuration describes no Keras model: {_SAVE_WHOLE}")
    return KerasFile(path, magic == _HDF5, _numbers(version), parsed)


def write_copy(file: KerasFile, config: Layer, folder: Path) -> Path:
    """A copy of the file with this configuration, without optimizer and losses; its suffix says what it is.

    Raises:
        Unreadable: its weights are damaged.
    """
    copy = folder / ("model.h5" if file.hdf5 else "model.keras")
    try:
        if file.hdf5:
            with h5py.File(file.path) as source, h5py.File(copy, "w") as target:
                for name in {"keras_version", "backend"} & set(source.attrs):
                    target.attrs[name] = source.attrs[name]
                target.attrs["model_config"] = json.dumps(config)
                source.copy("model_weights", target)
            return copy
        with zipfile.ZipFile(file.path) as source, zipfile.ZipFile(copy, "w") as target:
            for name in source.namelist():
                if name == "config.json":
                    target.writestr(name, json.dumps({**config, "compile_config": None}))
                    continue
                with source.open(name) as member, target.open(name, "w", force_zip64=True) as out:
                    (copy_weights if name == WEIGHTS else shutil.copyfileobj)(member, out)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise Unreadable("its weights are truncated or damaged: copy the file again") from error
    return copy


def layers_in(layer: Layer) -> Iterator[Layer]:
    """The layer and all layers inside of it, outermost first."""
    yield layer
    config = layer.get("config")
    inner = config if isinstance(config, list) else []  # Sequential before Keras 2.2.3
    if isinstance(config, dict):
        inner = [*(config.get("layers") or []), *(config.get(key) for key in _WRAPPED)]
    for child in inner:
        if isinstance(child, dict) and "class_name" in child:
            yield from layers_in(child)


def dicts_in(value: Any) -> list[dict[str, Any]]:
    """All dictionaries in a nest of lists and dicts."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [*([value] if isinstance(value, dict) else []), *(found for each in inner for found in dicts_in(each))]


def name_of(layer: Layer) -> str:
    """What people know the layer by."""
    config = layer.get("config")
    return str((config.get("name") if isinstance(config, dict) else None) or layer.get("name") or layer["class_name"])


def _read_hdf5(path: Path) -> tuple[str, str]:
    with h5py.File(path) as file:
        if "model_config" not in file.attrs:
            weights = "layer_names" in file.attrs or {"layers", "_layer_checkpoint_dependencies", "vars"} & set(file)
            what = "it holds weights only, not the model" if weights else "it is an HDF5 file, but no Keras model"
            raise Unreadable(f"{what}: {_SAVE_WHOLE}")
        if "model_weights" not in file:
            raise Unreadable(f"it holds the architecture without the weights: {_SAVE_WHOLE}")
        return _text(file.attrs.get("keras_version", "")), _text(file.attrs["model_config"])


def _read_zip(path: Path) -> tuple[str, str]:
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        if "config.json" not in names:
            raise Unreadable(f"it is a zip archive, but no Keras model: {_SAVE_WHOLE}")
        if not {"model.weights.h5", "model.weights.npz"} & names:
            raise Unreadable(f"it holds the architecture without the weights: {_SAVE_WHOLE}")
        metadata = json.loads(archive.read("metadata.json")) if "metadata.json" in names else {}
        return str(metadata.get("keras_version", "")), archive.read("config.json").decode()


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _numbers(version: str) -> tuple[int, ...]:
    """(2, 13, 1) for "2.13.1-tf"."""
    return tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdigit())
