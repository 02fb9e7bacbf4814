"""The format of a model file is told by its content, and what is none is refused with its reason."""

import zipfile
from pathlib import Path

import h5py
import pytest

from worker.formats import Format, find_format
from worker.readers import Unreadable

_LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def _zip(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "{}" * 500)
    return path


def _hdf5(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["weights"] = range(1000)
    return path


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model"])
def test_keras_files_are_known_whatever_they_are_called(name: str, tmp_path: Path) -> None:
    assert find_format(_zip(tmp_path / name, "config.json", "model.weights.h5")) is Format.KERAS
    assert find_format(_hdf5(tmp_path / name)) is Format.KERAS


def test_a_tflite_file_with_metadata_is_no_archive(tmp_path: Path) -> None:
    path = _zip(tmp_path / "model.tflite", "labels.txt")
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(100) + path.read_bytes())
    assert zipfile.is_zipfile(path)
    assert find_format(path) is Format.TFLITE


@pytest.mark.parametrize(
    ("name", "content"), [("model.joblib", b"\x80\x04\x95"), ("model", b"\x80\x03c"), ("model.pkl", b"ccopyreg\n")]
)
def test_pickled_models_are_known(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content + b"..." * 100)
    assert find_format(tmp_path / name) is Format.PICKLE


def test_a_saved_model_is_known_by_its_graph_unless_a_part_is_a_pointer(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01graph")
    (tmp_path / "variables").mkdir()
    assert find_format(tmp_path) is Format.SAVED_MODEL
    with pytest.raises(Unreadable, match="name its folder"):
        find_format(tmp_path / "saved_model.pb")
    (tmp_path / "variables/variables.data-00000-of-00001").write_bytes(_LFS)
    with pytest.raises(Unreadable, match="git lfs pull"):
        find_format(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("model.keras", _LFS, "`git lfs pull`"),
        ("model.h5", b"", "empty"),
        ("model.h5", bytes(9999), "empty"),
        ("model.h5", b"\n<!DOCTYPE html><html>Sign in</html>", "web page"),
        ("model.keras", b"PK\x03\x04 and then the connection broke", "truncated"),
        ("model.keras", b"\x93NUMPY", "none of a .keras file"),
        ("model.onnx", b"\x08\x07\x12\x07pytorch", "ONNX"),
        ("model.h5", b"\x08\x07\x12\x07pytorch\x1a\x052.1.0", "ONNX"),
        ("model.pth", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "PyTorch"),
        ("model.safetensors", b"\x10\0\0\0\0\0\0\0{}", "weights without"),
        ("frozen.pb", b"\n\x05image", "TensorFlow 1"),
        ("model.tar.gz", b"\x1f\x8b\x08", "unpack"),
        ("notes.txt", b"hello", "no model"),
    ],
)
def test_what_is_no_model_is_refused_with_what_it_is(name: str, content: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Unreadable, match=sentence):
        find_format(tmp_path / name)


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        (("archive/data.pkl", "archive/data/0"), "PyTorch"),
        (("keras_model.h5", "labels.txt"), "holds keras_model.h5: unpack it"),
        (("model/saved_model.pb",), "holds model/saved_model.pb: unpack it"),
        (("readme.txt",), "without a model"),
    ],
)
def test_an_archive_says_what_it_holds(members: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=sentence):
        find_format(_zip(tmp_path / "model.h5", *members))


def test_half_a_file_is_refused(tmp_path: Path) -> None:
    for whole in (_hdf5(tmp_path / "model.h5"), _zip(tmp_path / "model.keras", "config.json", "model.weights.h5")):
        whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        with pytest.raises(Unreadable, match="truncated"):
            find_format(whole)


def test_a_folder_that_is_no_model_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"no saved_model\.pb: name the model's file"):
        find_format(tmp_path)
    (tmp_path / "model.h5").touch()
    with pytest.raises(Unreadable, match=r"name .*model\.h5"):
        find_format(tmp_path)
    (tmp_path / "variables").mkdir()
    with pytest.raises(Unreadable, match=r"saved_model\.pb is missing"):
        find_format(tmp_path)
