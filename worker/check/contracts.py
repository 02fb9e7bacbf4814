"""The plausible contracts: the card as declared, and as it would be with the mistakes that are made.

A contract is a card, so that the ordinary preprocessing feeds the model. Only what no card can say, rows and
columns mixed up, is a layout beside it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from shared.cards import Card, CardError, check_card
from shared.cardwords import EXIF_RULES, FITS, INTERPOLATIONS, JPEG_DECODERS

_WHITE: Final = 255.0
_HALF: Final = 127.5
# what the card calls them · two applied one after the other, which a card says with numbers of its own
_SCALES: Final = ("none", "1/255", "-1..1", "imagenet", "caffe", "per-image")
_TWICE: Final = {
    "1/255 twice": (0.0, _WHITE * _WHITE),
    "1/255, then -1..1": (_HALF * _WHITE, _HALF * _WHITE),
}
_RESAMPLING: Final = (("nearest", True), ("bilinear", True), ("bilinear", False), ("lanczos", True), ("lanczos", False))
_EVERY: Final = tuple((how, antialias) for how in INTERPOLATIONS for antialias in (True, False))
# swapped: the model is fed width × height instead of height × width, where it takes both
# transposed: resized to height × width, then rows and columns exchanged · reshaped: the same, with the rows cut anew
STRAIGHT, SWAPPED, TRANSPOSED, RESHAPED = "straight", "swapped", "transposed", "reshaped"
_LAYOUTS: Final = {
    STRAIGHT: "in place",
    SWAPPED: "exchanged",
    TRANSPOSED: "rows and columns exchanged",
    RESHAPED: "resized to height × width and reshaped, which scrambles the picture",
}
_NAMES: Final = {
    "scale": "scale",
    "color_order": "colour order",
    "interpolation": "interpolation",
    "antialias": "antialias",
    "fit": "fit",
    "exif": "EXIF orientation",
    "jpeg_decoder": "JPEG decoder",
    "layout": "width and height",
    "labels": "labels",
}


@dataclass(frozen=True, slots=True)
class Contract:
    """How the model is fed and read, in one of the ways that are plausible."""

    card: Card
    layout: str = STRAIGHT

    @property
    def feeding(self) -> tuple[Any, ...]:
        """All that decides what the model sees; contracts that differ in their labels alone share its answers."""
        card = self.card
        return (*self.geometry, card.color_order, card.scale, card.mean, card.deviation)

    @property
    def geometry(self) -> tuple[Any, ...]:
        """All that decides which pixels it sees, whatever numbers are made of them."""
        card = self.card
        return (card.interpolation, card.antialias, card.fit, card.exif, card.jpeg_decoder, self.layout)

    def value(self, entry: str) -> str:
        """What the contract says of an entry, for people."""
        card = self.card
        if entry == "layout":
            return _LAYOUTS[self.layout]
        if entry == "scale":
            return _scale_name(card)
        if entry == "antialias":
            return "on" if card.antialias else "off"
        if entry == "labels":
            return ", ".join(card.label_ids)
        return str(getattr(card, entry))

    def changes(self, declared: "Contract") -> list[str]:
        """The entries in which it differs from the declared one."""
        return [entry for entry in _NAMES if self.value(entry) != declared.value(entry)]

    def title(self, declared: "Contract") -> str:
        """What is different from the declared one, in a few words."""
        changes = [change for change in self.changes(declared) if change != "labels"]
        parts = [f"{_NAMES[change]} {self.value(change)}" for change in changes]
        moved = self.card.label_ids != declared.card.label_ids
        return " + ".join(parts + ["labels in another order"] * moved) or "as declared"

    def lines(self, declared: "Contract") -> list[str]:
        """The lines of card.toml that have to change, as they must read."""
        lines: list[str] = []
        for entry in self.changes(declared):
            value = getattr(self.card, entry, None)
            if entry == "labels":
                ids = ", ".join(f'"{label}"' for label in self.card.label_ids)
                lines.append(f"the [[labels]] in this order: {ids}")
            elif entry == "layout":
                if self.layout == SWAPPED:
                    lines += [f"width_px = {self.card.height_px}", f"height_px = {self.card.width_px}"]
            elif entry == "antialias":
                lines.append(f"antialias = {str(value).lower()}")
            else:
                lines.append(f'{entry} = "{value}"')
            if entry == "scale" and self.card.scale == "custom":
                lines += [f"mean = {list(self.card.mean)}", f"deviation = {list(self.card.deviation)}"]
        return lines


def name_of(entry: str) -> str:
    """What an entry is called in a sentence."""
    return _NAMES[entry]


def value_contracts(declared: Contract, *, swappable: bool, turned: bool) -> list[Contract]:
    """Every scale with every colour order, and every way in which a picture may lie.

    Args:
        swappable: the model takes width × height, too.
        turned: some of the photos say in EXIF that they have to be.
    """
    card = declared.card
    made = [
        replace(declared, card=replace(scaled, color_order=order))
        for scaled in _scaled(card)
        for order in (("RGB", "BGR") if card.channels == 3 else ("RGB",))
    ]
    if card.width_px != card.height_px:
        layouts = (SWAPPED, TRANSPOSED, RESHAPED) if swappable else (TRANSPOSED, RESHAPED)
        made += [replace(declared, layout=layout) for layout in layouts]
    # beside the layouts, which look much like a photo that lies on its side
    made += [replace(declared, card=replace(card, exif=rule)) for rule in EXIF_RULES if turned]
    return _others(made, declared)


def geometry_contracts(base: Contract, *, turned: bool, every: bool = False) -> list[Contract]:
    """Other ways to resize, to fit and to hold the photo, one at a time.

    Args:
        turned: some of the photos say in EXIF that they have to be.
        every: those, too, that are so like others that labels cannot tell them.
    """
    card = base.card
    made = [
        *(
            replace(card, interpolation=how, antialias=antialias)
            for how, antialias in (_EVERY if every else _RESAMPLING)
        ),
        *(replace(card, jpeg_decoder=decoder) for decoder in JPEG_DECODERS if every),
        *(replace(card, fit=fit) for fit in FITS),
        *(replace(card, exif=rule) for rule in EXIF_RULES if turned),
    ]
    return _others([replace(base, card=one) for one in made], base)


def _scaled(card: Card) -> Iterator[Card]:
    plain = replace(card, mean=(), deviation=(), scale="none", color_order="RGB")
    yield card
    for scale in _SCALES:
        yield replace(plain, scale=scale)
    for mean, deviation in _TWICE.values():
        yield replace(plain, scale="custom", mean=(mean,) * card.channels, deviation=(deviation,) * card.channels)


def _scale_name(card: Card) -> str:
    for name, (mean, deviation) in _TWICE.items():
        if card.scale == "custom" and {*card.mean} == {mean} and {*card.deviation} == {deviation}:
            return name
    return f"custom ({card.mean}, {card.deviation})" if card.scale == "custom" else card.scale


def _others(made: list[Contract], declared: Contract) -> list[Contract]:
    """Those that are possible and feed the model otherwise, each once."""
    seen, others = {declared.feeding}, []
    for contract in made:
        try:
            check_card(contract.card)
        except CardError:  # one channel knows neither colour order nor the colours of ImageNet
            continue
        if contract.feeding not in seen:
            seen.add(contract.feeding)
            others.append(contract)
    return others
