"""What `--labels` takes: a list, a file as training tools write them, or the folder of the training photos."""

import json
import re
from pathlib import Path
from typing import Any, Final

from shared.errors import OperatorError

_NUMBERED: Final = re.compile(r"(\d+)[\s:,;.)]+(.*\S)")  # Teachable Machine writes "0 healthy"
_SPLITS: Final = {"train", "training", "val", "valid", "validation", "test", "testing"}
_FEWEST: Final = 2


def read_labels(given: str) -> list[str]:
    """The labels in the order of the model's outputs.

    Args:
        given: "healthy,rust", or the path of a text or JSON file, or of the folder with a folder of photos for each.

    Raises:
        OperatorError: there are fewer than two, one is empty, or one comes twice.
    """
    path = Path(given)
    try:
        if path.is_dir():
            labels = _of_folder(path)
        elif path.is_file():
            labels = _of_file(path)
        elif "," in given:
            labels = given.split(",")
        else:
            raise OperatorError(f"--labels: there is no file or folder {given}, and one label is not enough.")
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"--labels: {given} cannot be read ({error}).") from error
    labels = [label.strip() for label in labels]
    if len(labels) < _FEWEST or not all(labels):
        raise OperatorError(f"--labels: {given} gives {len(labels)} labels, and at least two are needed, none empty.")
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise OperatorError(f"--labels: {twice} comes twice.")
    return labels


def _of_folder(folder: Path) -> list[str]:
    """As Keras numbers them: by name, capitals before small letters."""
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if names and {name.lower() for name in names} <= _SPLITS:
        raise OperatorError(f"--labels: {folder} holds {', '.join(names)}: give the one that the model was trained on.")
    return names


def _of_file(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8-sig")
    if file.suffix.lower() == ".json":
        try:
            return _of_json(json.loads(text))
        except (ValueError, TypeError) as error:
            raise OperatorError(
                f"--labels: {file} must hold a list of labels, or an object such as class_indices, with the numbers "
                f"from 0 on ({error})."
            ) from error
    lines = [line for line in text.splitlines() if line.strip()]
    numbered = [_NUMBERED.fullmatch(line.strip()) for line in lines]
    by_number = {int(found[1]): found[2] for found in numbered if found}
    if lines and len(by_number) == len(lines) and sorted(by_number) == list(range(len(lines))):
        return [by_number[number] for number in range(len(lines))]
    return lines


def _of_json(found: Any) -> list[str]:
    if isinstance(found, list):
        labels = found
    else:
        pairs = [(key, value) if isinstance(value, int) else (value, int(key)) for key, value in found.items()]
        by_number = {number: label for label, number in pairs}
        labels = [by_number.get(number) for number in range(len(pairs))]
    if not all(isinstance(label, str) for label in labels):
        raise ValueError("a label is missing, or is no text")
    return labels
