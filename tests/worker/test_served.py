"""Cards of bare files, cards that must fit, and which prepared model is pointed to."""

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
from worker.proof import choose_engine
from worker.registry import point_to, prepared_folder
from worker.served import ModelFacts, Source, derive_card, require_fit

FACTS = ModelFacts(width_px=8, height_px=4, channels=3, outputs=2, rescales=False)
SOURCE = Source("leaf", Path("leaf.keras"), None, ())


def _settings(**changes: Any) -> Settings:
    return Settings(_env_file=None, **{"labels": "healthy, rust", "model_scale": "1/255", **changes})


def test_a_bare_files_card_comes_from_its_facts_and_the_settings() -> None:
    found = derive_card(SOURCE, _settings(), "ab" * 32, FACTS)
    assert (found.width_px, found.height_px, found.label_ids) == (8, 4, ["healthy", "rust"])
    assert (found.version, found.sha256, found.scale) == ("ab" * 6, "ab" * 32, "1/255")
    assert found.assumed
    require_fit(found, FACTS)


@pytest.mark.parametrize(
    ("settings", "facts", "sentence"),
    [
        ({"labels": "healthy"}, {}, "LABELS"),
        ({"labels": ""}, {}, "LABELS"),
        ({"labels": "a,a"}, {}, "same id"),
        ({"model_scale": ""}, {}, "MODEL_SCALE"),
        ({"model_scale": "255"}, {}, "MODEL_SCALE"),
        ({"model_interpolation": "cubic"}, {}, "interpolation"),
        ({"image_width_px": 9}, {}, "IMAGE_WIDTH_PX"),
        ({}, {"height_px": None}, "IMAGE_HEIGHT_PX"),
    ],
)
def test_what_cannot_be_known_is_asked_for(settings: dict[str, Any], facts: dict[str, Any], sentence: str) -> None:
    known = ModelFacts(**{"width_px": 8, "height_px": 4, "channels": 3, "outputs": 2, "rescales": False, **facts})
    with pytest.raises(OperatorError, match=sentence):
        derive_card(SOURCE, _settings(**settings), "ab", known)


@pytest.mark.parametrize(
    ("changes", "side"), [({"width_px": 9}, "width_px"), ({"height_px": 9}, "height_px"), ({"channels": 1}, "channels")]
)
def test_a_card_that_does_not_fit_its_model_is_refused(changes: dict[str, Any], side: str) -> None:
    with pytest.raises(OperatorError, match=side):
        require_fit(card(**changes), FACTS)
    with pytest.raises(OperatorError, match="2 labels"):
        require_fit(card(), ModelFacts(8, 4, 3, 5, rescales=False))


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


def test_outputs_that_are_no_probabilities_are_refused_before_any_engine(tmp_path: Path) -> None:
    probe, truth = _probe_and_truth()
    with pytest.raises(OperatorError, match="probabilities"):
        choose_engine(card(), tmp_path, probe, truth * 5, _settings(), golden=True)


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
