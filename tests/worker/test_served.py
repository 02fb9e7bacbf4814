"""Which engine is chosen, by what evidence, and which prepared model is pointed to."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13

from shared.errors import OperatorError
from shared.settings import Settings
from tests.worker.bench import card
from worker.engines.openvino import OpenVinoEngine
from worker.preprocessing import Float32Array
from worker.probes import largest_shift, probe_images, require_probabilities
from worker.proof import choose_engine
from worker.registry import point_to, prepared_folder


def _settings(**changes: Any) -> Settings:
    return Settings(_env_file=None, **{"labels": "healthy, rust", "model_scale": "1/255", **changes})


def _model(folder: Path) -> None:
    """Mean brightness as a softmax of two classes, in OpenVINO's own form."""
    image = opset13.parameter([-1, 4, 8, 3], np.float32)
    mean = opset13.reduce_mean(image, opset13.constant([1, 2], np.int64), keep_dims=False)
    weights = np.array([[-2, 2], [-2, 2], [-2, 2]], np.float32)
    answer = opset13.softmax(opset13.matmul(mean, weights, transpose_a=False, transpose_b=False), 1)
    ov.save_model(ov.Model([answer], [image]), folder / "model.xml", compress_to_fp16=False)


def _probe_and_truth() -> tuple[Float32Array, Float32Array]:
    probe = np.random.default_rng(1).random((5, 4, 8, 3), np.float32)
    logits = 2 * probe.mean((1, 2)).sum(1)
    top = 1 / (1 + np.exp(-2 * logits))
    return probe, np.stack([1 - top, top], 1).astype(np.float32)


def test_an_engine_that_agrees_is_chosen_with_its_evidence(tmp_path: Path) -> None:
    _model(tmp_path)
    probe, truth = _probe_and_truth()
    choice = choose_engine(card(), tmp_path, probe, truth, _settings(), golden=True)
    assert (choice["engine"], choice["images"]) == ("openvino", 5)
    assert choice["largest_shift"] <= 0.01
    engine = OpenVinoEngine(tmp_path / "model.xml", precision="f32", micro_batches=[1, 2], threads=1)
    assert np.allclose(engine.predict(probe), truth, atol=1e-4)


def test_an_engine_that_disagrees_does_not_serve(tmp_path: Path) -> None:
    _model(tmp_path)
    probe, truth = _probe_and_truth()
    assert choose_engine(card(), tmp_path, probe, truth[:, ::-1], _settings(), golden=True)["engine"] == "tensorflow"
    with pytest.raises(OperatorError, match="ENGINE=openvino"):
        choose_engine(card(), tmp_path, probe, truth[:, ::-1], _settings(engine="openvino"), golden=True)


def test_a_tie_between_two_classes_is_no_disagreement_and_a_lead_is() -> None:
    even, near = np.float32([[0.5, 0.5]]), np.float32([[0.50001, 0.49999]])
    assert largest_shift(near, even, card()) < 1e-4
    assert largest_shift(np.float32([[0.45, 0.55]]), np.float32([[0.55, 0.45]]), card()) == np.inf


def test_outputs_that_are_no_probabilities_are_refused_before_any_engine() -> None:
    _, truth = _probe_and_truth()
    require_probabilities(truth, card())
    with pytest.raises(OperatorError, match="probabilities"):
        require_probabilities(truth * 5, card())


def test_the_probe_shows_more_than_smooth_pictures() -> None:
    probe = probe_images(card(scale="none"), ())
    assert probe.shape[1:] == (4, 8, 3)
    spread = probe.std((1, 2, 3))
    assert (spread == 0).sum() == 2  # black and white
    assert probe.min() == 0
    assert probe.max() == 255


def test_the_pointer_moves_and_drops_what_was_before(tmp_path: Path) -> None:
    settings = _settings(state_dir=tmp_path)
    with pytest.raises(OperatorError, match="prepare"):
        prepared_folder(settings, "leaf")
    for name in ("leaf-aaaaaaaaaaaa-bbbbbbbbbbbb", "leaf-cccccccccccc-dddddddddddd"):
        (settings.cache_dir / name).mkdir(parents=True)
        point_to(settings.cache_dir, "leaf", settings.cache_dir / name)
        assert prepared_folder(settings, "leaf").name == name
    assert not (settings.cache_dir / "leaf-aaaaaaaaaaaa-bbbbbbbbbbbb").exists()


def test_another_model_whose_name_begins_alike_is_left_alone(tmp_path: Path) -> None:
    for name in ("leaf-aaaaaaaaaaaa-bbbbbbbbbbbb", "leaf-health-cccccccccccc-dddddddddddd"):
        (tmp_path / name).mkdir()
    point_to(tmp_path, "leaf", tmp_path / "leaf-aaaaaaaaaaaa-bbbbbbbbbbbb")
    assert (tmp_path / "leaf-health-cccccccccccc-dddddddddddd").exists()
