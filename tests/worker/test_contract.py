"""The card of a bare file comes from what it says and from the settings; a declared card must fit its model."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.cards import Card, Label
from shared.errors import OperatorError
from shared.settings import Settings
from tests.worker.bench import card
from worker.contract import derive_card, require_fit, warnings_of
from worker.facts import ModelFacts
from worker.served import Source

FACTS = ModelFacts(width_px=8, height_px=4, channels=3, outputs=2, activation="softmax")
RESCALED = replace(FACTS, rescaling="x/127.5 - 1", takes_pixels=True)
SOURCE = Source("leaf", Path("leaf.keras"), None, ())
THREE = (Label("a"), Label("b"), Label("c"))


def derive(facts: ModelFacts = FACTS, **changes: Any) -> Card:
    settings = {"labels": "healthy, rust", "model_scale": "1/255", **changes}
    return derive_card(SOURCE, Settings(_env_file=None, **settings), "ab" * 32, facts)


def test_a_bare_files_card_comes_from_its_facts_and_the_settings() -> None:
    found = derive(model_interpolation="nearest")
    assert (found.width_px, found.height_px, found.label_ids) == (8, 4, ["healthy", "rust"])
    assert (found.version, found.sha256, found.scale, found.color_order) == ("ab" * 6, "ab" * 32, "1/255", "RGB")
    assert "width_px: 8, from the model's input" in found.derived
    assert "activation: softmax, the model's last operation" in found.derived
    assert {"antialias: true", "fit: stretch"} < set(found.assumed)
    assert "interpolation" not in str(found.assumed)  # it was said
    require_fit(found, FACTS)


@pytest.mark.parametrize(
    ("settings", "facts", "sentence"),
    [
        ({"labels": "healthy"}, {}, "has 2 classes and LABELS names 1"),
        ({"labels": ""}, {"outputs": 1, "activation": "sigmoid"}, "has 2 classes and LABELS names 0"),
        ({"labels": "a,a"}, {}, "same id"),
        ({"model_scale": ""}, {}, "set MODEL_SCALE"),
        ({"model_scale": "255"}, {}, "set MODEL_SCALE"),
        ({"model_scale": ""}, {"rescaling": "2·x - 1"}, "The model computes 2·x - 1 of what it is given"),
        ({"model_scale": ""}, {"byte_range": (-1.0, 0.99)}, "bytes stand for -1 to 0.99"),
        ({"model_interpolation": "cubic"}, {}, "interpolation"),
        ({"image_width_px": 9}, {}, "IMAGE_WIDTH_PX"),
        ({}, {"height_px": None}, "IMAGE_HEIGHT_PX"),
    ],
)
def test_what_cannot_be_known_is_asked_for(settings: dict[str, Any], facts: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OperatorError, match=sentence):
        derive(replace(FACTS, **facts), **settings)


def test_a_model_that_rescales_takes_pixels_as_they_are() -> None:
    found = derive(RESCALED, model_scale="")
    assert found.scale == "none"
    assert "scale: none, for the model itself computes x/127.5 - 1" in found.derived
    assert warnings_of(found, RESCALED) == []


def test_rescaling_twice_is_refused_for_a_bare_file_and_warned_of_in_a_card() -> None:
    with pytest.raises(OperatorError, match=r"MODEL_SCALE is 1/255, but the model .* itself computes x/127\.5 - 1"):
        derive(RESCALED)
    (warning,) = warnings_of(card(scale="1/255"), RESCALED)
    assert "rescaled twice" in warning
    (warning,) = warnings_of(card(scale="none"), replace(FACTS, rescaling="2·x - 1"))
    assert "scaled before" in warning


def test_a_resizing_inside_gives_size_and_filter() -> None:
    facts = replace(RESCALED, width_px=None, height_px=None, resized_to=(8, 4), resized_by=("nearest", False))
    found = derive(facts, model_scale="")
    assert (found.width_px, found.height_px, found.interpolation, found.antialias) == (8, 4, "nearest", False)
    assert "interpolation" not in str(found.assumed)


def test_caffes_means_are_taken_off_blue_first_as_keras_has_it() -> None:
    assert derive(model_scale="caffe").color_order == "BGR"
    assert derive(model_scale="caffe", model_color_order="RGB").color_order == "RGB"


def test_what_is_told_of_colours_and_rotation_is_not_assumed() -> None:
    told = derive(model_color_order="BGR", model_exif="ignore")
    assert (told.color_order, told.exif) == ("BGR", "ignore")
    assert not any(text.startswith(("color_order", "exif")) for text in told.assumed)
    assert {"color_order: RGB", "exif: apply"} <= set(derive().assumed)


@pytest.mark.parametrize(
    ("changes", "side"), [({"width_px": 9}, "width_px"), ({"height_px": 9}, "height_px"), ({"channels": 1}, "channels")]
)
def test_a_card_that_does_not_fit_its_model_is_refused(changes: dict[str, Any], side: str) -> None:
    with pytest.raises(OperatorError, match=side):
        require_fit(card(**changes), FACTS)
    with pytest.raises(OperatorError, match="has 2 labels, the model has 5 outputs"):
        require_fit(card(), replace(FACTS, outputs=5))
    with pytest.raises(OperatorError, match="has 3 labels, the model has 1 outputs"):
        require_fit(card(labels=THREE, activation="sigmoid"), replace(FACTS, outputs=1, activation="sigmoid"))


def test_what_a_misfit_looks_like_is_said() -> None:
    with pytest.raises(OperatorError, match="width and height look swapped"):
        require_fit(card(width_px=FACTS.height_px, height_px=FACTS.width_px), FACTS)
    with pytest.raises(OperatorError, match='say activation = "sigmoid"'):
        require_fit(card(), replace(FACTS, outputs=1, activation="sigmoid"))


@pytest.mark.parametrize(
    ("says", "ends_in", "outputs"),
    [
        ("softmax", "softmax", 2),
        ("softmax", "other", 2),
        ("sigmoid", "sigmoid", 1),
        ("sigmoid", "sigmoid", 2),
        ("logits", "linear", 2),
        ("logits", "linear", 1),
    ],
)
def test_an_activation_that_the_graph_confirms_or_leaves_open_passes(says: str, ends_in: str, outputs: int) -> None:
    require_fit(card(activation=says), replace(FACTS, activation=ends_in, outputs=outputs))


@pytest.mark.parametrize(
    ("says", "ends_in", "outputs", "sentence"),
    [
        ("softmax", "tanh", 2, "ends in tanh"),
        ("logits", "tanh", 2, "ends in tanh"),
        ("sigmoid", "relu", 1, "ends in relu"),
        ("softmax", "linear", 2, 'activation = "logits"'),
        ("sigmoid", "linear", 1, "MODEL_ACTIVATION=logits"),
        ("softmax", "sigmoid", 2, "2 sigmoids"),
        ("logits", "softmax", 2, "itself ends in softmax"),
        ("sigmoid", "softmax", 2, "itself ends in softmax"),
        ("sigmoid", "softmax", 1, "softmax over one output"),
    ],
)
def test_an_activation_that_the_graph_contradicts_is_refused(
    says: str, ends_in: str, outputs: int, sentence: str
) -> None:
    facts = replace(FACTS, activation=ends_in, outputs=outputs)
    with pytest.raises(OperatorError, match=sentence):
        require_fit(card(activation=says), facts)


@pytest.mark.parametrize(
    ("outputs", "ends_in", "says"), [(1, "sigmoid", ""), (2, "sigmoid", "sigmoid"), (1, "linear", "logits")]
)
def test_the_setting_says_what_the_outputs_are_where_the_file_does_not(outputs: int, ends_in: str, says: str) -> None:
    found = derive(replace(FACTS, outputs=outputs, activation=ends_in), model_activation=says)
    assert found.activation == (says or "sigmoid")
    with pytest.raises(OperatorError, match="model"):
        derive(replace(FACTS, outputs=2, activation=ends_in))


@pytest.mark.parametrize(
    ("scale", "fits"), [("none", True), ("-1..1", True), ("1/255", False), ("imagenet", False), ("caffe", False)]
)
def test_a_quantised_models_range_says_whether_the_scale_is_that_of_its_training(scale: str, *, fits: bool) -> None:
    facts = replace(FACTS, byte_range=(-1.0, 0.99), takes_pixels=True)
    if fits:
        require_fit(card(scale=scale), facts)
        return
    with pytest.raises(OperatorError, match=r"bytes stand for -1 to 0\.99"):
        require_fit(card(scale=scale), facts)


def test_a_model_of_whole_numbers_takes_no_fractions() -> None:
    facts = replace(FACTS, takes_pixels=True, takes_bytes=True)
    require_fit(card(scale="none"), facts)
    with pytest.raises(OperatorError, match="whole numbers"):
        require_fit(card(scale="1/255"), facts)
