"""Reads a pickle without running it: what it names becomes an inert record of what it would have been called with.

`python -m worker.readers.inert PICKLE FOLDER` writes the one Keras model found and says its path. Every Keras since
2.7 pickles a model as the bytes of a file and the name of a function that loads them; scikeras does, too. So neither
that Keras nor its custom classes are needed, and the bytes then go the way of every other file: safe mode, repairs.
"""

import importlib
import io
import pickle
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from joblib import numpy_pickle

_UNREADABLE = 3
_SAVE = 'save the model itself with model.save("model.keras")'
_HARMLESS = {  # what plain data is made of; all else is recorded
    *((module, name) for module in ("io", "_io") for name in ("BytesIO",)),
    *(("builtins", name) for name in ("bytearray", "bytes", "complex", "frozenset", "range", "set", "slice")),
    *(("numpy", name) for name in ("dtype", "ndarray")),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
    ("joblib.numpy_pickle", "NumpyArrayWrapper"),
}


class Inert:
    """Stands for an object of a class, or the result of a function, that was not called."""

    parts: list[Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Keeps what it is called with."""
        made = super().__new__(cls)
        made.parts = [*args, kwargs]
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Everything was done when it was made: unpickling often skips this."""

    def __call__(self, *args: Any, **kwargs: Any) -> "Inert":
        """A method that was looked up by name, such as Keras 3's `_unpickle_model`."""
        return Inert(*args, **kwargs)

    def __setstate__(self, state: Any) -> None:
        self.parts.append(state)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.parts.append(value)

    def append(self, value: Any) -> None:
        """An item of what would have been a list, or a set."""
        self.parts.append(value)

    add = append


def find_inert(module: str, name: str) -> Any:
    """The object of that name where it is plain data, else a class that records."""
    if (module, name) in _HARMLESS:
        return getattr(importlib.import_module(module), name)
    return type(name, (Inert,), {"__module__": module})


class InertUnpickler(pickle.Unpickler):
    """Loads without running what it loads."""

    def find_class(self, module: str, name: str) -> Any:
        """See `find_inert`."""
        return find_inert(module, name)


def load(path: Path) -> Any:
    """What lies in a pickle, compressed or not, of joblib or of pickle."""
    numpy_pickle.NumpyUnpickler.find_class = lambda _, module, name: find_inert(module, name)
    numpy_pickle.pickle.load = lambda file: InertUnpickler(file).load()  # arrays of objects are pickles of their own
    return numpy_pickle.load(path)


def embedded_files(value: Any, seen: set[int]) -> Iterator[bytes]:
    """All strings of bytes in nested data, each once."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, bytes | bytearray):
        yield bytes(value)
    elif isinstance(value, io.BytesIO):
        yield value.getvalue()
    elif isinstance(value, np.ndarray) and value.dtype != object:
        yield value.tobytes() if value.dtype == np.uint8 else b""
    elif isinstance(value, Inert):
        yield from embedded_files(value.parts, seen)
    elif isinstance(value, dict | list | tuple | set | frozenset | np.ndarray):
        for part in value.values() if isinstance(value, dict) else value:
            yield from embedded_files(part, seen)


def write_model(data: bytes, folder: Path) -> Path | None:
    """Writes the bytes of a .keras, an HDF5 file or an archived SavedModel; None for others."""
    stream = io.BytesIO(data)
    if data.startswith(b"\x89HDF\r\n\x1a\n"):
        model = folder / "model.h5"
        model.write_bytes(data)
        return model
    if zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as archive:
            if "config.json" in archive.namelist():
                model = folder / "model.keras"
                model.write_bytes(data)
                return model
            archive.extractall(folder / "saved_model")  # noqa: S202 zipfile keeps members below the folder
    elif len(data) >= tarfile.BLOCKSIZE and tarfile.is_tarfile(stream):
        stream.seek(0)
        with tarfile.open(fileobj=stream) as archive:
            archive.extractall(folder / "saved_model", filter="data")
    return next((found.parent for found in (folder / "saved_model").rglob("saved_model.pb")), None)


def main(path: str, folder: str) -> int:
    """Writes the model; 0, or `_UNREADABLE` with the reason as the last line of stderr."""
    try:
        held = load(Path(path))
    except Exception as error:  # damaged bytes may make a pickle do anything
        sys.stderr.write(f"\nit cannot be unpickled ({type(error).__name__}), it is damaged or no pickle: {_SAVE}")
        return _UNREADABLE
    files = set(embedded_files(held, set()))
    models = [model for data in files if (model := write_model(data, Path(folder)))]
    if len(models) != 1:
        many = f"{len(models)} Keras models" if models else "no Keras model"
        sys.stderr.write(f"\nit holds {many}, in an object of the class {type(held).__name__}: {_SAVE}")
        return _UNREADABLE
    sys.stdout.write(str(models[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
