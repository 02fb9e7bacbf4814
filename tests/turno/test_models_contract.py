"""Options become settings for the file, and entries of the card that comes of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from shared.cards import Card, Label
from shared.cardwords import CHOICES
from shared.errors import OperatorError
from shared.settings import Settings
from turno.models.contract import Told, finished, in_options, proven_alike, settings_for, tell
from turno.models.recipes import RECIPES

DERIVED = Card(
    "bare", "1", "bare.h5", 4, 3, (Label("x"), Label("y"), Label("z")),
    derived=("width_px: 4, from the model's input",), assumed=("exif: apply", "color_order: RGB", "no calibration"),
)  # fmt: skip


def _finished(told: Told, card: Card = DERIVED) -> Card:
    return finished(card, "leaf", "model.h5", ["a, b", "c", "d"], told)


def test_a_recipe_says_only_what_its_tool_does_and_an_option_wins() -> None:
    told = tell("keras-directory", antialias=True)
    assert told.entries.items() >= {"interpolation": "bilinear", "antialias": True}.items()
    assert "scale" not in told.entries
    assert "antialias" not in told.notes
    assert tell("teachable-machine").entries["scale"] == "-1..1"


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_says_what_a_card_can_say(recipe: str) -> None:
    assert all(value in CHOICES[key] for key, value in RECIPES[recipe].items())


def test_what_the_deployment_says_of_its_own_model_counts_for_nothing() -> None:
    deployed = Settings(_env_file=None, model_scale="imagenet", model_fit="pad", labels="p,q", image_width_px=9)  # type: ignore[call-arg]
    found = settings_for(deployed, Path("new.h5"), ["a, b", "c"], tell(None, fit="crop", height_px=7), Path("state"))
    assert (found.model_scale, found.model_fit, found.image_width_px, found.image_height_px) == ("", "crop", 0, 7)
    assert (found.model_path, found.state_dir) == ("new.h5", Path("state"))
    assert len(found.labels.split(",")) == 2  # a comma ends a label there


def test_the_card_has_what_was_said_and_assumes_only_what_was_not() -> None:
    card = _finished(tell("keras-generator", description="of mine"))
    assert (card.name, card.file, card.label_ids) == ("leaf", "model.h5", ["a, b", "c", "d"])
    assert (card.interpolation, card.exif, card.description) == ("nearest", "ignore", "of mine")
    assert card.assumed == ("color_order: RGB", "no calibration")
    assert card.derived == DERIVED.derived


def test_a_recipe_leaves_the_colour_order_to_the_scale() -> None:
    caffe = replace(DERIVED, scale="caffe", color_order="BGR")
    assert _finished(tell("keras-generator", scale="caffe"), caffe).color_order == "BGR"


def test_what_nobody_said_is_assumed() -> None:
    said = {"exif: apply", "color_order: RGB", "no calibration", "jpeg_decoder: pillow"}
    assert set(_finished(tell(None)).assumed) == said | {"interpolation: bilinear", "antialias: true", "fit: stretch"}


def test_own_means_are_a_custom_scale_and_one_number_is_for_all_channels() -> None:
    told = tell(None, mean="127.5", deviation="1,2,3")
    card = _finished(told)
    assert (card.scale, card.mean, card.deviation) == ("custom", (127.5, 127.5, 127.5), (1, 2, 3))
    found = settings_for(Settings(_env_file=None), Path("new.h5"), ["a", "b"], told, Path("state"))  # type: ignore[call-arg]
    assert found.model_scale == "none"  # no setting holds the numbers: the card is proven with them


@pytest.mark.parametrize(
    "options",
    [{"mean": "1", "deviation": "1", "scale": "1/255"}, {"scale": "custom"}, {"mean": "1,2", "deviation": "1"}],
)
def test_what_does_not_go_together_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(OperatorError, match="mean"):
        _finished(tell(None, **options))


def test_a_card_whose_numbers_have_another_range_is_not_proven_by_the_same_comparison() -> None:
    assert proven_alike(DERIVED, replace(DERIVED, name="other", temperature=2.0, exif="ignore", color_order="BGR"))
    assert not proven_alike(DERIVED, replace(DERIVED, scale="none"))
    assert not proven_alike(DERIVED, replace(DERIVED, activation="logits"))


def test_a_sentence_about_settings_speaks_of_options() -> None:
    said = in_options("MODEL_PATH: a.h5 has 3 classes and LABELS names 2: set MODEL_SCALE, or IMAGE_WIDTH_PX.")
    assert said == "a.h5 has 3 classes and --labels names 2: set --scale, or --width."
    assert in_options("set MODEL_ALLOW_PICKLE=true; better") == "set --allow-pickle; better"
