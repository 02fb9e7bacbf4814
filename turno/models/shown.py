"""Models as people read them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.cards import Card
from turno.models.folders import Kept
from turno.screen import harmless

if TYPE_CHECKING:
    from worker.check.thresholds import Thresholds

_PIPE_COLUMNS = 1000  # whoever reads a pipe wants each model on one line
_TITLES = ("name", "version", "input", "classes", "size", "verified", "checked", "served")


def show_table(models: list[Kept]) -> None:
    """Prints a line for each model on stdout, and below them what is wrong with those that cannot be used."""
    table = Table(*_TITLES, box=None, pad_edge=False, header_style="dim")
    for one in models:
        table.add_row(*(Text(harmless(cell)) for cell in _cells(one)))
    console = Console()
    (console if console.is_terminal else Console(width=_PIPE_COLUMNS)).print(table)
    for one in models:
        if one.fault:
            console.print(Text(harmless(one.fault)), soft_wrap=True)


def _cells(one: Kept) -> tuple[str, ...]:
    served, card = "yes" if one.served else "", one.card
    if card is None or one.fault:
        return (one.name, "cannot be used: see below", "", "", "", "", "", served)
    size = f"{card.width_px} × {card.height_px}"
    proven = (_brief(card.verified, "engine", "precision"), _brief(card.checked, "balanced_accuracy"))
    return (one.name, card.version, size, str(len(card.labels)), _megabytes(one.size_bytes), *proven, served)


def card_lines(card: Card) -> Iterator[str]:
    """The contract, and what is known of it."""
    scale = f"{card.scale}, mean {list(card.mean)}, deviation {list(card.deviation)}" if card.mean else card.scale
    yield f"{card.name} {card.version}"
    if card.description:
        yield card.description
    colors = card.color_order if card.channels == 3 else "grey"
    yield f"  input    {card.width_px} wide × {card.height_px} high, {colors}"
    yield f"  scale    {scale}"
    antialias = "" if card.antialias else " without antialiasing"
    yield f"  resize   {card.fit}, {card.interpolation}{antialias}; EXIF: {card.exif}; JPEGs by {card.jpeg_decoder}"
    yield f"  output   {card.activation}, temperature {card.temperature:g}, tolerance {card.tolerance:g}"
    yield f"  verdict  diagnosed from {card.diagnosed_at:g}, not recognised from {card.not_recognised_at:g}"
    yield "  labels   " + ", ".join(
        label.id if label.recognised else f"{label.id} (not recognised)" for label in card.labels
    )
    if card.licence:
        yield f"  licence  {card.licence}"
    for title, texts in (("derived from the file", card.derived), ("assumed, for nobody said it", card.assumed)):
        if texts:
            yield f"{title}:"
            yield from (f"  {text}" for text in texts)
    yield f"verified: {proven_line(card.verified) or 'never; run `python -m turno models verify`'}"
    yield f"checked on photos: {proven_line(card.checked) or 'never; run `python -m turno models check`'}"


def proven_line(found: dict[str, Any]) -> str:
    """A [verified] or [checked] in one line."""
    return ", ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in found.items())


def fitted_lines(fitted: "Thresholds") -> Iterator[str]:
    """What was fitted, and what it brings."""
    yield from (f"{key} = {value}" for key, value in fitted.entries.items())
    yield (
        f"On these {fitted.photos} photos the expected calibration error goes from {fitted.error_before:.3f} to "
        f"{fitted.error_after:.3f}; {', '.join(f'{count} {kind}' for kind, count in fitted.kinds.items())}; "
        f"{fitted.right:.0%} of the firm verdicts are right."
    )
    yield "They were fitted on these very photos: judge them on others, with `turno models check`."


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key} {part}" for key, part in value.items())
    if isinstance(value, list):
        return "; ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def _brief(found: dict[str, Any], *keys: str) -> str:
    return " ".join(_value(found[key]) for key in keys if key in found) or ("yes" if found else "no")


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:.1f} kB"
