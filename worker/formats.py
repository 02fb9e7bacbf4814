"""Which format a model has, by what lies in the file and not by what it is called; needs no model runtime."""

import zipfile
from enum import StrEnum
from pathlib import Path

from worker.readers import Unreadable

_HEAD_BYTES = 512
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_TFLITE = b"TFL3"  # at byte 4, as flatbuffers have it
_LFS = b"version https://git-lfs"
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save before 1.6: a pickled number of its own
_PICKLE_PROTOCOLS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_PICKLED = (".joblib", ".pkl", ".pickle")  # joblib compresses in six ways, and protocol 0 has no magic
_COPY = "copy it again from where it was trained"
_EXPORT = "export it for Keras or TensorFlow where it was trained: as .keras, .h5, SavedModel or .tflite"
_FOREIGN = {  # by suffix: what is told apart by content stands in _refuse_foreign
    ".onnx": "an ONNX model",
    ".pt": "a PyTorch model",
    ".pth": "a PyTorch model",
    ".safetensors": "a file of weights without their model",
    ".ckpt": "a checkpoint: weights without their model",
    ".index": "a checkpoint: weights without their model",
    ".pb": "a frozen TensorFlow 1 graph, which does not say what goes in and what comes out",
    ".json": "a description without weights, or a TensorFlow.js model",
}


class Format(StrEnum):
    """What a model file is read as."""

    KERAS = "keras"  # a .keras archive or an HDF5 file, whichever the suffix claims
    SAVED_MODEL = "saved_model"
    TFLITE = "tflite"
    PICKLE = "pickle"


def find_format(path: Path) -> Format:
    """The format of the model at this path.

    Raises:
        Unreadable: it is none that is served, or it is not whole.
    """
    if path.is_dir():
        return _of_folder(path)
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    _refuse_stray(head)
    if head[4:8] == _TFLITE:  # before the zip: its metadata is an archive at its end
        return Format.TFLITE
    if head.startswith(_HDF5):
        _require_whole_hdf5(head, path.stat().st_size)
        return Format.KERAS
    if head.startswith(_ZIP):
        return _of_archive(path)
    _refuse_foreign(head, path)
    if head.startswith(_PICKLE_PROTOCOLS) or path.suffix in _PICKLED:
        return Format.PICKLE
    raise Unreadable(f"it is no model that is known here: {_EXPORT}")


def _of_folder(folder: Path) -> Format:
    graph = folder / "saved_model.pb"
    if not graph.exists():
        if (folder / "keras_metadata.pb").exists() or (folder / "variables").exists():
            raise Unreadable(f"saved_model.pb is missing in this folder: {_COPY}")
        inside = sorted(path.parent for path in folder.glob("*/saved_model.pb"))
        inside += [path for path in sorted(folder.iterdir()) if path.suffix in (".keras", ".h5", ".hdf5", ".tflite")]
        advice = f"name {inside[0]}" if inside else "name the model's file, or a folder with card.toml"
        raise Unreadable(f"this folder is no SavedModel, for it holds no saved_model.pb: {advice}")
    for file in (graph, *folder.glob("variables/*")):
        with file.open("rb") as stream:
            _refuse_stray(stream.read(_HEAD_BYTES))
    return Format.SAVED_MODEL


def _of_archive(path: Path) -> Format:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError) as error:
        raise Unreadable(f"the file is truncated: {_COPY}") from error
    if "config.json" in names or "model.weights.h5" in names:
        return Format.KERAS
    if any(name.endswith("data.pkl") for name in names):
        raise Unreadable(f"it is a PyTorch model: {_EXPORT}")
    suffixes = (".keras", ".h5", ".hdf5", ".tflite", "saved_model.pb")
    if packed := [name for name in names if name.endswith(suffixes)]:
        raise Unreadable(f"it is an archive that holds {packed[0]}: unpack it, and name that")
    raise Unreadable(f"it is a zip archive without a model in it: {_EXPORT}")


def _refuse_stray(head: bytes) -> None:
    """Refuses what stands in a model's place when a download or a checkout went wrong."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head.strip(b"\0"):
        raise Unreadable(f"the file is empty: {_COPY}")
    if text.startswith(_LFS):
        raise Unreadable("it is a Git LFS pointer and not the model itself: run `git lfs pull` where it was cloned")
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        raise Unreadable("it is a web page saved under the model's name: download the file itself")


def _refuse_foreign(head: bytes, path: Path) -> None:
    if head.startswith(_OLD_TORCH):
        raise Unreadable(f"it is a PyTorch model: {_EXPORT}")
    if head.startswith(b"\x08") and any(maker in head for maker in (b"onnx", b"pytorch", b"keras2onnx", b"tf2onnx")):
        raise Unreadable(f"it is an ONNX model: {_EXPORT}")
    if path.name == "saved_model.pb":
        raise Unreadable(f"it is one file of a SavedModel: name its folder, {path.parent}")
    if path.suffix in (".gz", ".tgz", ".tar", ".bz2", ".xz", ".7z", ".rar"):
        raise Unreadable("it is packed: unpack it, and name the model that was in it")
    if kind := _FOREIGN.get(path.suffix):
        raise Unreadable(f"it is {kind}: {_EXPORT}")
    if path.suffix in (".keras", ".h5", ".hdf5", ".tflite"):
        raise Unreadable(f"its content is none of a {path.suffix} file, so it is damaged or something else: {_COPY}")


def _require_whole_hdf5(head: bytes, size: int) -> None:
    """Compares the end of the file with where its superblock says it is (HDF5 file format, section II.A)."""
    version = head[8:9]
    at, width = (40, head[13]) if version in (b"\0", b"\1") else (28, head[9])
    if version == b"\1":
        at += 4
    if size < int.from_bytes(head[at : at + width], "little"):
        raise Unreadable(f"the file is truncated: {_COPY}")
