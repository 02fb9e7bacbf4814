"""Who has too little memory for a model is told so with the numbers, before the kernel ends something."""

import shutil
import zipfile
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from shared.errors import OperatorError
from shared.limits import usable_memory_bytes
from shared.settings import Settings
from tests.conftest import LEAF_HEALTH
from worker import footprint
from worker.footprint import loading_with_tensorflow, serving_with_tensorflow
from worker.prepare import prepare_served_model
from worker.registry import load_served_model

_NOTHING = loading_with_tensorflow(Path("/nowhere"))


def _limited(monkeypatch: pytest.MonkeyPatch, root: Path, limit_bytes: int) -> None:
    """Puts this process into a planted container with so much memory."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("0::/\n")
    (root / "proc/self/mountinfo").write_text("30 23 0:26 / /limits rw - cgroup2 cgroup2 rw\n")
    (root / "limits").mkdir()
    (root / "limits/memory.max").write_text(f"{limit_bytes}\n")
    (root / "limits/memory.current").write_text("0\n")
    monkeypatch.setattr(footprint, "usable_memory_bytes", partial(usable_memory_bytes, root))


def _settings(state: Path) -> Settings:
    return Settings(_env_file=None, state_dir=state, model_path=LEAF_HEALTH)  # type: ignore[call-arg]


def test_a_model_that_cannot_be_converted_here_is_refused_with_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _limited(monkeypatch, tmp_path / "machine", 100_000_000)
    with pytest.raises(OperatorError, match=r"at least 29\d MB of memory, and 100 MB can be had.*--beside"):
        prepare_served_model(_settings(tmp_path / "var"))


def test_a_model_that_cannot_be_served_here_is_refused_with_the_numbers(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(prepared, tmp_path / "var/prepared")
    _limited(monkeypatch, tmp_path / "machine", 10_000_000)
    with pytest.raises(OperatorError, match=r"To serve leaf-health takes .* and 10 MB can be had"):
        load_served_model(_settings(tmp_path / "var"))


def _weights(path: Path, count: int) -> Path:
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.zeros(count, np.float32)
        file["layers/dense/vars/1"] = np.zeros(8, np.float32)
        file["optimizer/vars/0"] = np.zeros(5 * count, np.float32)
    return path


def test_what_training_left_in_the_file_is_not_loaded(tmp_path: Path) -> None:
    found = loading_with_tensorflow(_weights(tmp_path / "model.h5", 1000))
    assert found - _NOTHING == (4000 + 32) + 3 * 4000


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_of_a_keras_file_the_weights_are_read_beside_those_made_at_random(tmp_path: Path, compression: int) -> None:
    weights = _weights(tmp_path / "model.weights.h5", 1000)
    with zipfile.ZipFile(tmp_path / "model.keras", "w", compression) as archive:
        archive.writestr("config.json", "{}" * 100)
        archive.write(weights, weights.name)
    found = loading_with_tensorflow(tmp_path / "model.keras") - _NOTHING
    # Keras compresses none; into one that somebody else compressed nobody looks
    expected = weights.stat().st_size + (4000 + 32) + 3 * 4000 if compression == zipfile.ZIP_STORED else 0
    assert found == expected


def test_of_other_formats_the_file_itself_counts(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(992))
    assert loading_with_tensorflow(tmp_path / "model.tflite") - _NOTHING == 1000
    (tmp_path / "saved/variables").mkdir(parents=True)
    for file in ("saved/saved_model.pb", "saved/variables/variables.data-00000-of-00001"):
        (tmp_path / file).write_bytes(b"x" * 500)
    assert loading_with_tensorflow(tmp_path / "saved") - _NOTHING == 1000
    assert serving_with_tensorflow(tmp_path / "saved") < loading_with_tensorflow(tmp_path / "saved")


def test_a_file_that_is_no_model_is_left_to_keras_to_refuse(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert loading_with_tensorflow(tmp_path / "model.keras") == _NOTHING
