"""The card against the model: derived for a bare file, required to fit where it was declared."""

from typing import Any

from shared.cards import Card, CardError, Label, check_card
from shared.cardwords import SCALES
from shared.errors import OperatorError
from shared.settings import Settings
from worker.activations import derive_activation, require_activation
from worker.facts import ModelFacts
from worker.served import Source

_RANGES = {  # what each scale makes of 0–255, as far as the image does not decide
    "none": (0.0, 255.0),
    "1/255": (0.0, 1.0),
    "-1..1": (-1.0, 1.0),
    "imagenet": (-2.12, 2.64),
    "caffe": (-123.68, 151.06),
}
_ALIKE = 1.6  # two ranges that are no wider than this against each other may be the same contract


def require_fit(card: Card, facts: ModelFacts) -> None:
    """Passes a card whose sizes, labels, activation and scale are those of the model.

    Raises:
        OperatorError: names what differs.
    """
    for side in ("width_px", "height_px", "channels"):
        if getattr(facts, side) not in (None, getattr(card, side)):
            crossed = (facts.width_px, facts.height_px) == (card.height_px, card.width_px)
            raise OperatorError(
                f"The card says {side} = {getattr(card, side)}, the model takes {getattr(facts, side)}"
                f"{': width and height look swapped' if crossed else ''}."
            )
    one_for_two = facts.outputs == 1 and len(card.labels) == 2 and card.activation in ("sigmoid", "logits")
    if facts.outputs != len(card.labels) and not one_for_two:
        advice = "a model of one number that stands for no class is no classifier"
        if facts.outputs == 1 and len(card.labels) == 2:
            advice = (
                'of the probability of the second label say activation = "sigmoid" under [output], of its logit '
                '"logits"; a number that is neither is no classifier\'s'
            )
        elif facts.outputs > 1:
            advice = "name each output once, in the order of training (Keras: alphabetical by folder)"
        raise OperatorError(f"The card has {len(card.labels)} labels, the model has {facts.outputs} outputs: {advice}.")
    require_activation(card.activation, facts)
    if facts.takes_bytes and card.scale != "none":
        raise OperatorError(f'The model takes whole numbers from 0 to 255: scale must be "none", not {card.scale}.')
    if facts.byte_range is not None and not _may_mean(card.scale, facts):
        low, high = facts.byte_range
        raise OperatorError(
            f"The scale {card.scale} gives {_RANGES[card.scale][0]:g} to {_RANGES[card.scale][1]:g}, and the model's "
            f"bytes stand for {low:.3g} to {high:.3g}: it was trained with another scale."
        )


def warnings_of(card: Card, facts: ModelFacts) -> list[str]:
    """What a declared card may say, and is most likely a mistake."""
    if not facts.rescaling or facts.takes_pixels == (card.scale == "none"):
        return []
    made_for = "pixels of 0 to 255: they are rescaled twice" if facts.takes_pixels else "what was scaled before"
    said = f"the card says scale {card.scale}, and the model itself computes {facts.rescaling}"
    return [f"{said}, which is made for {made_for}"]


def derive_card(source: Source, settings: Settings, digest: str, facts: ModelFacts) -> Card:
    """The card of a bare file, from what the file says and from the settings.

    Raises:
        OperatorError: something that must be known is not; says which setting tells it.
    """
    labels = [label for label in map(str.strip, settings.labels.split(",")) if label]
    expected = 2 if facts.outputs == 1 else facts.outputs
    if len(labels) != expected:
        raise OperatorError(
            f"The model {source.file.name} has {expected} classes and LABELS names {len(labels)}: "
            "set LABELS to the classes, comma-separated, in the order of training (Keras: alphabetical by folder)."
        )
    derived = [f"channels: {facts.channels}, from the model's input"]
    # what nobody set is a default, and nothing in the file tells whether it is right
    assumed = ["no calibration"]
    activation = derive_activation(settings, facts, derived, assumed)
    resizing = _resizing(settings, facts, derived, assumed)
    scale = _scale(source, settings, facts, derived)
    color_order = settings.model_color_order or ("BGR" if scale == "caffe" else "RGB")
    if not settings.model_color_order:
        assumed.append(f"color_order: {color_order}")
    try:
        return check_card(
            Card(
                name=source.name,
                version=digest[:12],
                file=source.file.name,
                sha256=digest,
                width_px=_side("width", facts, settings.image_width_px, derived),
                height_px=_side("height", facts, settings.image_height_px, derived),
                channels=facts.channels,
                color_order=color_order,
                labels=tuple(Label(label) for label in labels),
                scale=scale,
                **resizing,
                activation=activation,
                derived=tuple(derived),
                assumed=tuple(assumed),
            )
        )
    except CardError as error:
        raise OperatorError(f"No card can be derived for {source.file.name}: {error}.") from error


def _resizing(settings: Settings, facts: ModelFacts, derived: list[str], assumed: list[str]) -> dict[str, Any]:
    """How a photo becomes as small as the model wants it."""
    found: dict[str, Any] = {}
    if facts.resized_by is not None and facts.width_px is None:
        found = dict(zip(("interpolation", "antialias"), facts.resized_by, strict=True))
        derived += [f"{key}: {str(value).lower()}, as the model itself resizes" for key, value in found.items()]
    for key in ("interpolation", "antialias", "fit", "exif", "jpeg_decoder"):
        if key in found:
            continue
        found[key] = getattr(settings, f"model_{key}")
        if f"model_{key}" not in settings.model_fields_set:
            assumed.append(f"{key}: {str(found[key]).lower()}")
    return found


def _scale(source: Source, settings: Settings, facts: ModelFacts, derived: list[str]) -> str:
    given = settings.model_scale
    if facts.takes_pixels and (facts.byte_range is None or given in ("", "none")):
        what = f"itself computes {facts.rescaling}" if facts.rescaling else "takes whole numbers from 0 to 255"
        if given not in ("", "none"):
            raise OperatorError(
                f"MODEL_SCALE is {given}, but the model {source.file.name} {what}: its pixels would be rescaled twice. "
                f"Leave MODEL_SCALE empty; if training really did both, say so in a card.toml with "
                f'scale = "{given}".'
            )
        derived.append(f"scale: none, for the model {what}")
        return "none"
    if given in SCALES:
        return given
    inside = f" The model computes {facts.rescaling} of what it is given." if facts.rescaling else ""
    if facts.byte_range is not None:
        inside = f" The model's bytes stand for {facts.byte_range[0]:.3g} to {facts.byte_range[1]:.3g}."
    raise OperatorError(
        f"How the pixels of {source.file.name} are scaled is not known: set MODEL_SCALE to what training did, "
        f"one of {', '.join(SCALES)}.{inside}"
    )


def _side(name: str, facts: ModelFacts, given: int, derived: list[str]) -> int:
    found: int | None = getattr(facts, f"{name}_px")
    origin = "from the model's input"
    if found is None and facts.resized_to is not None:
        found, origin = facts.resized_to[name == "height"], "to which the model itself resizes"
    if found is not None:
        if given not in (0, found):
            raise OperatorError(
                f"IMAGE_{name.upper()}_PX is {given}, but the model takes images with a {name} of {found} pixels."
            )
        derived.append(f"{name}_px: {found}, {origin}")
        return found
    if not given:
        raise OperatorError(f"The model takes images of any {name}: set IMAGE_{name.upper()}_PX to that of training.")
    return given


def _may_mean(scale: str, facts: ModelFacts) -> bool:
    """Whether what this scale gives is what the bytes of a quantised model stand for."""
    if facts.byte_range is None or scale not in _RANGES or (scale == "none" and facts.takes_pixels):
        return True
    given, taken = _RANGES[scale], facts.byte_range
    return 1 / _ALIKE < (given[1] - given[0]) / (taken[1] - taken[0]) < _ALIKE
