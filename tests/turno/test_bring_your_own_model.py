"""What README.md and docs/bring-your-own-model.md tell to type, typed with a model of three colours."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.cards import load_card
from tests.stack import ROOT
from tests.turno.modelcommands import COLOURS, models_in

pytestmark = pytest.mark.timeout(300)  # it starts TensorFlow
_COMMAND = re.compile(r"^\.venv/bin/python -m turno models ((?:.+\\\n)*.+)$", re.MULTILINE)
_COLOURS = {"healthy": (40, 200, 40), "powdery_mildew": (40, 40, 200), "rust": (200, 40, 40)}
_FILES = ("photos", "validation", "check.png", "answers.json")
_PAGE = "docs/bring-your-own-model.md"
_LABELS = "healthy,powdery_mildew,rust"  # in the pages' order; the model's outputs are red, green, blue


def commands(page: str) -> list[list[str]]:
    """The arguments of each `turno models` on a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [shlex.split(found.replace("\\\n", " ")) for found in _COMMAND.findall(text)]


def test_the_pages_commands_bring_a_model_in_prove_it_and_calibrate_it(tmp_path: Path) -> None:
    turno, card = models_in(tmp_path), tmp_path / "models" / "my-leaf" / "card.toml"
    for folder in ("photos", "validation"):
        _photos(tmp_path / folder)
    _run_the_cell(tmp_path)
    for arguments in commands(_PAGE):
        done = turno(*(_here(argument, tmp_path) for argument in arguments))
        assert done.exit_code == 0, (arguments, done.output)
    found = load_card(card)
    assert (found.interpolation, found.scale, found.checked["contract"]) == ("nearest", "1/255", "supported")
    assert found.temperature != 1
    assert (tmp_path / "check.png").stat().st_size > 10_000
    assert found.checked["recorded_answers"] == 24
    assert found.checked["recorded_shift"] < 1e-4
    card.write_text(card.read_text().replace('interpolation = "nearest"', 'interpolation = "bilinear"'))
    check = next(arguments for arguments in commands(_PAGE) if "--answers" in arguments)
    found_out = turno(*(_here(argument, tmp_path) for argument in check))
    assert found_out.exit_code == 1
    assert 'interpolation = "nearest"' in found_out.stdout


def _run_the_cell(folder: Path) -> None:
    """What the page's notebook records, with Keras' own generator."""
    import keras
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    cells: list[str] = re.findall(
        r"^```python\n(.+?)^```", (ROOT / _PAGE).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    cell = next(cell for cell in cells if "answers.json" in cell).replace("answers.json", str(folder / "answers.json"))
    model = keras.models.load_model(COLOURS.with_name("finalModel.keras"))
    known = {"generator": ImageDataGenerator(rescale=1 / 255), "size": model.input_shape[1:3], "model": model}
    exec(cell.replace('"photos"', repr(str(folder / "photos"))), known)


def test_readme_and_the_spanish_page_tell_the_same() -> None:
    page, spanish = commands(_PAGE), commands("docs/es/modelo-propio.md")
    assert [arguments[0] for arguments in page] == ["add", "check", "check", "calibrate"]
    assert spanish == page
    add, check = commands("README.md")
    assert set(add) <= set(page[0])
    assert check == page[1]


def _here(argument: str, folder: Path) -> str:
    if argument == _LABELS:
        return "rust,healthy,powdery_mildew"
    if argument == "finalModel.keras":
        return str(COLOURS.with_name(argument))
    return str(folder / argument) if argument in _FILES else argument


def _photos(folder: Path) -> None:
    noise = np.random.default_rng(len(folder.name))
    for label, colour in _COLOURS.items():
        (folder / label).mkdir(parents=True)
        for number in range(22):
            pixels = np.clip(noise.normal(colour, 30, (30, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
