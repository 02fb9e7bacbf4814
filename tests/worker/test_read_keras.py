"""Files that old and new Keras wrote, against what those answered; `models/make.py` made them."""

import copy
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from worker.readers import Opened, Unreadable
from worker.readers.keras import open_keras_file
from worker.readers.kerasfile import Layer, layers_in, read_keras_file, write_copy

MODELS = Path(__file__).parent / "models"
ANSWERS: dict[str, list[list[float]]] = json.loads((MODELS / "answers.json").read_text())
FILES = sorted(name for name in ANSWERS if not name.endswith(".joblib"))


def images() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).uniform(0, 255, (32, 16, 16, 3)).astype(np.float32)


def require_answers(opened: Opened, name: str) -> None:
    expected = np.asarray(ANSWERS[name])
    assert np.ptp(expected, axis=0).max() > 0.01  # else any image would do
    for batch in (images()[: len(expected)], images()[:1]):
        answers = np.asarray(opened.model(batch, training=False))
        np.testing.assert_allclose(answers, expected[: len(batch)], atol=1e-5)


def edited(name: str, folder: Path, change: Callable[[Layer], Any]) -> Path:
    """The file with each of its layers changed."""
    file = read_keras_file(MODELS / name)
    config = copy.deepcopy(file.config)
    for layer in layers_in(config):
        change(layer)
    return write_copy(file, config, folder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_answers_as_the_keras_that_wrote_it(name: str, tmp_path: Path) -> None:
    opened = open_keras_file(MODELS / name, tmp_path)
    require_answers(opened, name)
    assert opened.library.startswith("tf_keras 2." if name.startswith("keras-2") else "keras 3.")
    assert "fixed batch size lifted: 32" in opened.notes
    assert any(note.startswith("augmentation removed: random_flip") for note in opened.notes)
    called = "called with training=True, served without: data_augmentation"
    assert (called in opened.notes) == name.startswith("keras-2")
    assert list(tmp_path.iterdir()) == []


def test_keys_of_other_versions_are_left_out(tmp_path: Path) -> None:
    foreign = {"DepthwiseConv2D": {"groups": 1}, "InputLayer": {"optional": False}, "Dense": {"lora_rank": None}}

    def change(layer: Layer) -> None:
        layer["config"] |= foreign.get(layer["class_name"], {})

    require_answers(open_keras_file(edited("keras-2.12.h5", tmp_path, change), tmp_path), "keras-2.12.h5")


def test_a_key_that_asks_for_something_unknown_is_refused(tmp_path: Path) -> None:
    def change(layer: Layer) -> None:
        if layer["class_name"] == "DepthwiseConv2D":
            layer["config"]["depth_groups"] = 2

    with pytest.raises(Unreadable, match=r"cannot build it .*depth_groups"):
        open_keras_file(edited("keras-2.12.h5", tmp_path, change), tmp_path)


@pytest.mark.parametrize("name", ["keras-2.12.h5", "keras-3.14.keras"])
def test_mixed_precision_is_computed_in_float32(name: str, tmp_path: Path) -> None:
    def change(layer: Layer) -> None:
        if layer["class_name"] in ("Conv2D", "Dense"):
            layer["config"]["dtype"] = {"class_name": "Policy", "config": {"name": "mixed_float16"}}

    opened = open_keras_file(edited(name, tmp_path, change), tmp_path)
    require_answers(opened, name)
    assert "reduced precision, computed in float32: mixed_float16" in opened.notes


def test_weights_that_are_not_in_the_file_are_not_made_up(tmp_path: Path) -> None:
    with zipfile.ZipFile(MODELS / "keras-3.14.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    weights = tmp_path / "weights.h5"
    weights.write_bytes(parts["model.weights.h5"])
    with h5py.File(weights, "a") as file:
        del file["layers"]
    parts["model.weights.h5"] = weights.read_bytes()
    with zipfile.ZipFile(tmp_path / "emptied.keras", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(Unreadable, match="could not be loaded"):
        open_keras_file(tmp_path / "emptied.keras", tmp_path)


def lambda_layer(layer: Layer) -> None:
    if layer["class_name"] == "Dropout":
        layer.update(class_name="Lambda", config={"name": "scale", "function": ["4wEAAAA=", None, None]})


def custom_layer(layer: Layer) -> None:
    if layer["class_name"] == "Dropout":
        layer.update(class_name="Attention3", config={"name": "look"})


def custom_activation(layer: Layer) -> None:
    if layer["class_name"] == "Dense":
        layer["config"]["activation"] = "sharpmax"


def lambda_activation(layer: Layer) -> None:
    if layer["class_name"] == "Dense":
        layer["config"]["activation"] = {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}}


def writing_operation(layer: Layer) -> None:
    if layer["class_name"] == "TFOpLambda":
        layer["config"]["function"] = "io.write_file"


def foreign_initializer(layer: Layer) -> None:
    if layer["class_name"] == "Dense":
        layer["config"]["kernel_initializer"] = {"module": "subprocess", "class_name": "Popen", "config": {}}


def batch_statistics(layer: Layer) -> None:
    if layer["config"].get("name") == "block":
        layer["inbound_nodes"][0][0][3]["training"] = True


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda_layer, "layer scale runs code of its author .a lambda.: replace it"),
        (lambda_activation, "layer head runs code of its author"),
        (custom_layer, "layer look is of the class Attention3, which is not Keras' own: replace it"),
        (custom_activation, "layer head uses sharpmax, which is not Keras' own: replace it"),
        (foreign_initializer, "asks for Popen of subprocess, which is not Keras' own"),
        (writing_operation, "calls tf.io.write_file"),
        (batch_statistics, "layer block is called with training=True and normalizes each image by the others"),
    ],
)
def test_code_that_is_not_keras_own_is_refused_by_name(
    change: Callable[[Layer], Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(Unreadable, match=reason) as refused:
        open_keras_file(edited("keras-2.12.h5", tmp_path, change), tmp_path)
    assert "\n" not in str(refused.value)


def without_config(file: h5py.File) -> None:
    del file.attrs["model_config"]
    file.attrs["layer_names"] = ["conv2d"]


def without_weights(file: h5py.File) -> None:
    del file["model_weights"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [(without_config, "holds weights only, not the model"), (without_weights, "the architecture without the weights")],
)
def test_half_a_model_is_refused(change: Callable[[h5py.File], None], reason: str, tmp_path: Path) -> None:
    path = tmp_path / "half.h5"
    path.write_bytes((MODELS / "keras-2.12.h5").read_bytes())
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(Unreadable, match=reason):
        open_keras_file(path, tmp_path)


@pytest.mark.parametrize("name", ["keras-2.12.h5", "keras-3.14.keras"])
def test_a_damaged_file_is_refused(name: str, tmp_path: Path) -> None:
    whole = (MODELS / name).read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 255
    for damaged in (whole[:-2000], whole[:20], *([bytes(flipped)] if name.endswith(".keras") else [])):
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(Unreadable, match="truncated or damaged"):
            open_keras_file(tmp_path / "damaged", tmp_path)
