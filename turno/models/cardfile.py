"""Writes cards: new ones, with a comment where an entry was derived or assumed; and what was proven, into old ones."""

import os
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import tomlkit
from tomlkit.items import Table

from shared.cards import Card, CardError, parse_card
from shared.cardwords import OUTPUT
from shared.errors import OperatorError

_INPUT: Final = (
    "width_px", "height_px", "channels", "color_order", "scale", "mean", "deviation", "interpolation", "antialias",
    "fit", "exif", "jpeg_decoder",
)  # fmt: skip
_DEFAULTS: Final = {field.name: field.default for field in fields(Card) if field.default is not MISSING}


def today() -> str:
    """The date in UTC, as cards have it."""
    return datetime.now(UTC).date().isoformat()


def card_text(card: Card, origin: str, notes: dict[str, str]) -> str:
    """A new card.

    Args:
        origin: where the model's file came from, for the first line.
        notes: comments by entry, for those that are neither derived nor assumed.
    """
    notes = {**notes, **_notes("assumed", card.assumed), **_notes("derived", card.derived)}
    document = tomlkit.document()
    document.add(
        tomlkit.comment(_line(f"Made from {origin} on {today()}; docs/model-card.md says what each entry means."))
    )
    for key in ("name", "version", "file", "sha256", "description", "licence", "derived", "assumed"):
        if value := getattr(card, key):
            document.add(key, _array(value) if isinstance(value, tuple) else tomlkit.item(value))
    document.add("input", _table(card, _INPUT, notes))
    outputs = [field.name for field in fields(Card) if field.name in OUTPUT]
    document.add("output", _table(card, outputs, notes))
    labels = tomlkit.aot()
    for number, label in enumerate(card.label_ids):
        entry = tomlkit.table()
        entry.add("id", tomlkit.item(label).comment(f"output {number}"))
        labels.append(entry)
    document.add("labels", labels)
    if card.verified:
        document.add("verified", _plain(card.verified))
    return tomlkit.dumps(document)


def record(path: Path, name: str, found: dict[str, Any]) -> None:
    """Writes `found` as the table `name` into a card, and leaves everything else as its author wrote it.

    Raises:
        OperatorError: the card cannot be written, or would not be one any more.
    """

    def note(document: tomlkit.TOMLDocument, text: str) -> None:
        if name in document:
            document[name] = _plain(found)
            return
        if not text.endswith("\n\n"):
            document.add(tomlkit.nl())
        document.add(name, _plain(found))

    _rewrite(path, f"[{name}] cannot be added to this card", note)


def set_outputs(path: Path, entries: dict[str, float], note: str) -> None:
    """Sets entries of a card's [output], each with a comment, and leaves everything else as its author wrote it.

    Raises:
        OperatorError: the card cannot be written, or would not be one any more.
    """

    def fill(document: tomlkit.TOMLDocument, _: str) -> None:
        if "output" not in document:
            document.add("output", tomlkit.table())
        if "no calibration" in document.get("assumed", ()):
            document["assumed"].remove("no calibration")
        for key, value in entries.items():
            document["output"][key] = tomlkit.item(value).comment(f"{note}, {today()}")

    _rewrite(path, "[output] cannot be changed in this card", fill)


def _rewrite(path: Path, trouble: str, change: Callable[[tomlkit.TOMLDocument, str], None]) -> None:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        document = tomlkit.parse(text)
        change(document, text)
        written = tomlkit.dumps(document)
        parse_card(tomllib.loads(written))
        _put(path, written)
    except OSError as error:
        raise OperatorError(f"{path} cannot be written: {error.strerror}.") from error
    except (CardError, ValueError) as error:
        raise OperatorError(f"{path}: {trouble} ({error}).") from error


def _put(path: Path, text: str) -> None:
    """In one step, so that whoever reads meanwhile finds a whole card."""
    descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
        Path(scratch).chmod(path.stat().st_mode & 0o777)
        Path(scratch).replace(path)
    except OSError:
        Path(scratch).unlink(missing_ok=True)
        raise


def _table(card: Card, keys: tuple[str, ...] | list[str], notes: dict[str, str]) -> Table:
    table = tomlkit.table()
    for key in keys:
        value = getattr(card, key)
        if value == ():
            continue
        item = _array(value) if isinstance(value, tuple) else tomlkit.item(value)
        if note := notes.get(key) or ("default" if value == _DEFAULTS.get(key) and key in OUTPUT else ""):
            item.comment(_line(note))
        table.add(key, item)
    return table


def _array(values: tuple[Any, ...]) -> tomlkit.items.Array:
    array = tomlkit.array()
    array.extend(values)
    return array.multiline(bool(values) and isinstance(values[0], str))


def _plain(values: dict[str, Any]) -> Table:
    """A table without what TOML has no word for."""
    table = tomlkit.table()
    for key, value in values.items():
        if isinstance(value, dict):
            table.add(key, tomlkit.inline_table())
            table[key].update(value)
        elif value is not None:
            table.add(key, tomlkit.item(value))
    return table


def _notes(kind: str, texts: tuple[str, ...]) -> dict[str, str]:
    """By entry: "width_px: 224, from the model's input" is a note on width_px."""
    noted = (text.partition(": ") for text in texts)
    return {key: f"{kind}: {what}" if " " in what else kind for key, colon, what in noted if colon}


def _line(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)
