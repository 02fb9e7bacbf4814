"""Models of every format become one graph that answers as they did, under a card; or are refused with the reason."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.cards import card_from_dict
from tests.stack import ROOT
from worker.conversion import translate_for_openvino
from worker.engines.openvino import OpenVinoEngine
from worker.engines.tflite import TfliteEngine
from worker.probes import largest_shift

pytestmark = pytest.mark.timeout(400)  # the first test waits for TensorFlow to make and convert the models


@pytest.fixture(scope="module")
def authored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models with what became of them."""
    folder = tmp_path_factory.mktemp("authored")
    subprocess.run([sys.executable, "-m", "tests.worker.authored", str(folder)], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def outcomes(authored: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((authored / "outcomes.json").read_text())
    return found


@pytest.mark.parametrize(
    ("name", "scale", "derived"),
    [
        ("rescaled.keras", "none", "the model itself computes x/127.5 - 1"),
        ("normalized.keras", "none", "computes (x - [120, 121, 122]) / [50, 51, 52]"),
        ("resized.h5", "none", "width_px: 16, to which the model itself resizes"),
        ("any_size.keras", "1/255", "channels: 1, from the model's input"),
        ("squeezed.keras", "1/255", "activation: softmax"),
        ("exported", "1/255", "width_px: 16, from the model's input"),
        ("fixed", "none", "the model itself computes x/255"),
        ("bytes", "none", "takes whole numbers from 0 to 255"),
        ("float.tflite", "1/255", "activation: softmax"),
        ("uint8.tflite", "none", "takes whole numbers from 0 to 255"),
    ],
)
def test_a_bare_file_gets_its_card_from_its_graph(
    name: str, scale: str, derived: str, outcomes: dict[str, Any]
) -> None:
    found = outcomes[name]
    assert "refused" not in found, found
    card = found["card"]
    assert card["scale"] == scale
    assert derived in " · ".join(card["derived"])
    assert found["probe"][1:] == [card["height_px"], card["width_px"], card["channels"]]
    assert found["exported_shift"] <= 1e-4
    answers = np.array(found["answers"])
    assert answers.sum(1) == pytest.approx(1, abs=0.01)
    assert len(np.unique(answers.round(6), axis=0)) > 1  # they depend on the image


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("twice.keras", "MODEL_SCALE is 1/255, but the model twice.keras itself computes x/255"),
        ("tanh.keras", "ends in tanh"),
        ("branches.keras", "2 outputs"),
        ("segments.keras", "(any, 10, 14, 3)"),
        ("squares.keras", "no probabilities"),
        ("random", "random"),
        ("unsigned", "no serving signature"),
        ("int8.tflite", "it was trained with another scale"),
        ("cut.tflite", "truncated or damaged"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_reason(name: str, sentence: str, outcomes: dict[str, Any]) -> None:
    assert sentence in outcomes[name].get("refused", "it was served")
    assert "\n" not in outcomes[name]["refused"]


@pytest.mark.parametrize("name", ["resized.h5", "fixed", "bytes", "float.tflite"])
def test_openvino_answers_as_the_model_itself(name: str, authored: Path, outcomes: dict[str, Any]) -> None:
    folder = authored / "converted" / name
    translate_for_openvino(
        next(path for path in (folder / "saved_model", folder / "model.tflite") if path.exists()), folder
    )
    engine = OpenVinoEngine(folder / "model.xml", precision="f32", micro_batches=[1], threads=1)
    found = engine.predict(np.load(folder / "probe.npy"))
    assert largest_shift(found, np.load(folder / "keras.npy"), card_from_dict(outcomes[name]["card"])) < 1e-4


def test_bytes_are_rounded_and_end_at_their_edges(authored: Path, outcomes: dict[str, Any]) -> None:
    card = card_from_dict(outcomes["uint8.tflite"]["card"])
    engine = TfliteEngine(authored / "uint8.tflite", card, threads=1)
    shape = (1, card.height_px, card.width_px, card.channels)
    for told, meant in {254.7: 255, 270.0: 255, -14.0: 0, 3.6: 4}.items():
        found, expected = (engine.predict(np.full(shape, value, np.float32)) for value in (told, float(meant)))
        assert np.array_equal(found, expected), told
    as_trained = TfliteEngine(authored / "uint8.tflite", replace(card, scale="-1..1"), threads=1)
    pixels = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) % 256
    assert np.array_equal(as_trained.predict(pixels / np.float32(127.5) - 1), engine.predict(pixels))
    white, grey = (engine.predict(np.full(shape, value, np.float32)) for value in (255, 14))
    assert not np.array_equal(white, grey)  # so that it would have been seen
