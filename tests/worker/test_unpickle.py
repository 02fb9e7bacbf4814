"""Pickles with a Keras model in them, and others; `models/make.py` made those of old versions."""

import io
import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests.worker.test_read_keras import ANSWERS, MODELS, require_answers
from worker.readers import Unreadable
from worker.readers.keras import open_keras_file
from worker.readers.pickled import unpickle_to_keras


class Touching:
    """What it would do is make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", sorted(name for name in ANSWERS if name.endswith(".joblib")))
def test_the_model_in_a_pickle_answers_as_before(name: str, tmp_path: Path) -> None:
    require_answers(open_keras_file(unpickle_to_keras(MODELS / name, tmp_path), tmp_path), name)


def test_nothing_in_a_pickle_is_run(tmp_path: Path) -> None:
    keras_file = (MODELS / "keras-3.14.keras").read_bytes()
    held = [Touching(tmp_path / "ran"), np.array([Touching(tmp_path / "ran")]), io.BytesIO(keras_file)]
    joblib.dump(held, tmp_path / "armed.joblib", compress=3)
    assert unpickle_to_keras(tmp_path / "armed.joblib", tmp_path).read_bytes() == keras_file
    assert not (tmp_path / "ran").exists()


def test_a_pickle_without_one_keras_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(LogisticRegression().fit(np.eye(4), [0, 1, 0, 1]), path)
    with pytest.raises(Unreadable, match="holds no Keras model, in an object of the class LogisticRegression"):
        unpickle_to_keras(path, tmp_path)
    joblib.dump([(MODELS / f"keras-{version}").read_bytes() for version in ("2.12.h5", "3.14.keras")], path)
    with pytest.raises(Unreadable, match="holds 2 Keras models, in an object of the class list"):
        unpickle_to_keras(path, tmp_path)
    path.write_text("hello")
    with pytest.raises(Unreadable, match="cannot be unpickled"):
        unpickle_to_keras(path, tmp_path)
