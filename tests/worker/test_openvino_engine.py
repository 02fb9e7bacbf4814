"""What OpenVINO is given and gives back, what it leaves out, and how many threads it computes with."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13

from tests.stack import ROOT
from worker.conversion import translate_for_openvino
from worker.engines.openvino import OpenVinoEngine
from worker.preprocessing import Float32Array

_IMPORTS = """
import sys
import worker.engines.openvino
print(sorted(name for name in sys.modules if name.startswith("openvino") and sys.modules[name]))
"""


@pytest.fixture(params=["f32", "f16"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The mean of each colour as a softmax of three classes, computed in float32 or in float16."""
    kind = np.float32 if request.param == "f32" else np.float16
    image = opset13.parameter([-1, 4, 8, 3], kind)
    mean = opset13.reduce_mean(image, opset13.constant([1, 2], np.int64), keep_dims=False)
    path = tmp_path / "model.xml"
    ov.save_model(ov.Model([opset13.softmax(mean, 1)], [image]), path, compress_to_fp16=False)
    return path


def _images(count: int) -> Float32Array:
    return np.random.default_rng(count).random((count, 4, 8, 3), np.float32)


def _softmax_of_means(images: Float32Array) -> Float32Array:
    powers = np.exp(images.mean((1, 2)))
    shares: Float32Array = powers / powers.sum(1, keepdims=True)
    return shares


@pytest.mark.parametrize("count", [1, 2, 3, 7, 16, 17])
def test_any_number_of_images_gives_as_many_answers_in_their_order(model: Path, count: int) -> None:
    engine = OpenVinoEngine(model, precision="f32", micro_batches=[1, 2, 4], threads=1)
    images = _images(count)
    found = engine.predict(images)
    assert (found.shape, found.dtype) == ((count, 3), np.float32)
    assert np.allclose(found, _softmax_of_means(images), atol=1e-3)  # float16 has three digits


def test_answers_are_not_overwritten_by_those_that_follow(model: Path) -> None:
    engine = OpenVinoEngine(model, precision="f32", micro_batches=[1], threads=1)
    first = engine.predict(_images(1))
    kept = first.copy()
    engine.predict(_images(2))
    assert (first == kept).all()


def test_images_in_another_order_of_memory_give_the_same(model: Path) -> None:
    engine = OpenVinoEngine(model, precision="f32", micro_batches=[1, 2], threads=1)
    images = _images(3)
    scattered = np.asfortranarray(images)
    assert not scattered[:1].flags.c_contiguous
    assert (engine.predict(scattered) == engine.predict(images)).all()


def test_serving_brings_in_no_converter_and_nothing_that_reports_its_use() -> None:
    found = subprocess.run(
        [sys.executable, "-c", _IMPORTS], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert "openvino._pyopenvino" in found
    assert "telemetry" not in found
    assert "openvino.tools" not in found


def test_what_openvino_cannot_translate_is_said_and_leaves_no_half_a_model(tmp_path: Path) -> None:
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model/saved_model.pb").write_bytes(b"no graph")
    translate_for_openvino(tmp_path / "saved_model", tmp_path)
    assert "exit code 1" in (tmp_path / "conversion.txt").read_text()
    assert not list(tmp_path.glob("model.*"))
