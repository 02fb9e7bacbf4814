"""What options tell of a model's contract, and the card that comes of them and of the model's file."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from shared.cards import Card, CardError, Label, check_card
from shared.cardwords import CHOICES, did_you_mean
from shared.errors import OperatorError
from shared.settings import Settings
from turno.models.recipes import RECIPES

_SETTINGS: Final = {  # by which a bare file's contract is told
    "width_px": ("image_width_px", 0, "--width"),
    "height_px": ("image_height_px", 0, "--height"),
    "scale": ("model_scale", "", "--scale"),
    "interpolation": ("model_interpolation", "bilinear", "--interpolation"),
    "antialias": ("model_antialias", True, "--antialias"),
    "fit": ("model_fit", "stretch", "--fit"),
    "color_order": ("model_color_order", "", "--color-order"),
    "exif": ("model_exif", "apply", "--exif"),
    "jpeg_decoder": ("model_jpeg_decoder", "pillow", "--jpeg-decoder"),
    "activation": ("model_activation", "", "--activation"),
}
# what decides the size and the range of the numbers on which engines are compared; the images for it are made up
_COMPARED: Final = ("width_px", "height_px", "channels", "scale", "mean", "deviation", "activation")


@dataclass(frozen=True, slots=True)
class Told:
    """Entries of a card as options gave them, and a comment for each that is there for another reason."""

    entries: dict[str, Any]
    notes: dict[str, str]


def tell(recipe: str | None, **options: Any) -> Told:
    """What the options say, and where they are silent the recipe.

    Raises:
        OperatorError: an option says what no card can.
    """
    if recipe is not None and recipe not in RECIPES:
        raise OperatorError(
            f"--recipe is {recipe}; it must be one of {', '.join(RECIPES)}{did_you_mean(recipe, RECIPES)}."
        )
    for key in ("mean", "deviation"):
        options[key] = _numbers(key, options.get(key))
    given = {key: value for key, value in options.items() if value is not None}
    implied = {key: value for key, value in RECIPES.get(recipe or "", {}).items() if key not in given}
    told = {**implied, **given}
    if {"mean", "deviation"} & told.keys() and given.get("scale", "custom") == "custom":
        if len({"mean", "deviation"} & told.keys()) == 1:
            raise OperatorError("--mean and --deviation belong together, of pixels from 0 to 255.")
        told["scale"] = "custom"
    for key, choices in CHOICES.items():
        if key in told and told[key] not in choices:
            words = [str(choice) for choice in choices]
            raise OperatorError(
                f"{option(key)} is {told[key]}; it must be one of {', '.join(words)}{did_you_mean(told[key], words)}."
            )
    return Told(told, dict.fromkeys(implied, f"as {recipe} does"))


def option(key: str) -> str:
    """How the option is called that tells an entry of the card."""
    return _SETTINGS[key][2] if key in _SETTINGS else f"--{key.replace('_', '-')}"


def settings_for(settings: Settings, file: Path, labels: list[str], told: Told, state: Path) -> Settings:
    """Those under which a bare file is prepared; what the deployment says of its own model counts for nothing."""
    said = told.entries | ({"scale": "none"} if told.entries.get("scale") == "custom" else {})
    told_by_settings = {name: said.get(key, default) for key, (name, default, _) in _SETTINGS.items()}
    commas = [label.replace(",", ";") for label in labels]  # in LABELS a comma ends a label
    return settings.model_copy(
        update={"model_path": str(file), "state_dir": state, "labels": ",".join(commas), **told_by_settings}
    )


def in_options(sentence: str) -> str:
    """A sentence about settings as it reads for who gives options."""
    for name, _, flag in _SETTINGS.values():
        sentence = re.sub(rf"\b{name.upper()}\b", flag, sentence)
    sentence = re.sub(r"\bMODEL_ALLOW_PICKLE(=\w+)?", "--allow-pickle", sentence)
    return re.sub(r"\bLABELS\b", "--labels", sentence.removeprefix("MODEL_PATH: "))


def finished(card: Card, name: str, file: str, labels: list[str], told: Told) -> Card:
    """The derived card with everything that was said.

    Raises:
        OperatorError: what was said does not go together.
    """
    said = dict(told.entries)
    for key in ("mean", "deviation"):
        if len(said.get(key, ())) == 1:  # one number for all channels
            said[key] *= card.channels
    assumed = [text for text in card.assumed if text.partition(": ")[0] not in said]
    mentioned = {text.partition(":")[0] for text in (*card.derived, *assumed)} | said.keys()
    if said.get("interpolation") == "nearest":  # which has nothing to average
        mentioned.add("antialias")
    resizing = ("color_order", "interpolation", "antialias", "fit", "exif", "jpeg_decoder")
    unmentioned = [key for key in resizing if key not in mentioned]
    assumed += [f"{key}: {_word(getattr(card, key))}" for key in unmentioned]
    try:
        return check_card(
            replace(
                card, name=name, file=file, labels=tuple(map(Label, labels)), **{**said, "assumed": tuple(assumed)}
            )
        )  # fmt: skip
    except CardError as error:
        raise OperatorError(f"No card can be made of these options: {error}.") from error


def proven_alike(one: Card, other: Card) -> bool:
    """Whether engines that agree under one card agree under the other."""
    return all(getattr(one, key) == getattr(other, key) for key in _COMPARED)


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _numbers(key: str, given: str | None) -> tuple[float, ...] | None:
    if given is None:
        return None
    try:
        return tuple(float(number) for number in given.split(","))
    except ValueError:
        raise OperatorError(f"--{key} takes numbers with commas between them, one for each channel.") from None
