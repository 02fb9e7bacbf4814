"""`turno models`, as the person at the terminal uses it, with a real model of three colours."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shared.cards import Card, load_card
from shared.errors import OperatorError
from tests.turno.modelcommands import ADD, COLOURS, Turno, models_in
from turno.models.cardfile import card_text

pytestmark = pytest.mark.timeout(300)  # the first test of the file starts TensorFlow
LABELS = ["red", "green", "blue, like the sky"]
RGB = [(200, 40, 40), (40, 200, 40), (40, 40, 200)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one model was added, for all tests that change nothing."""
    folder = tmp_path_factory.mktemp("added")
    (folder / "labels.txt").write_text("".join(f"{number} {label}\n" for number, label in enumerate(LABELS)))
    (folder / "models" / "colours" / "former").mkdir(parents=True)
    added = models_in(folder, MODEL_SCALE="imagenet")(
        "add", COLOURS, "--labels", folder / "labels.txt", "--name", "colours", "--scale", "none",
        "--recipe", "keras-directory", "--interpolation", "bicubic", "--licence", "CC0", "--replace",
    )  # fmt: skip
    (folder / "said.txt").write_text(added.stdout)
    (folder / "progress.txt").write_text(added.stderr)
    return folder


@pytest.fixture(scope="module")
def verified(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The card of the added model, verified once more after somebody wrote into it."""
    folder = tmp_path_factory.mktemp("verified")
    shutil.copytree(place / "models", folder / "models")
    card = folder / "models" / "colours" / "card.toml"
    text = card.read_text().split("[verified]")[0]
    card.write_text(text.replace("[output]", "# mine\n[output]") + '[verified]\nat = "1999-01-01"\n')
    models_in(folder)("verify", "colours")
    return card


@pytest.fixture
def turno(place: Path) -> Turno:
    """Runs `turno models …` where the model was added."""
    return models_in(place)


@pytest.fixture
def own(place: Path, tmp_path: Path) -> Path:
    """The added model in a place of its own."""
    shutil.copytree(place / "models", tmp_path / "models")
    return tmp_path / "models" / "colours" / "card.toml"


def test_an_added_model_lies_there_with_a_card_of_what_was_said_derived_and_assumed(place: Path) -> None:
    folder = place / "models" / "colours"
    card = load_card(folder / "card.toml")
    assert (card.name, card.file, card.licence, card.label_ids) == ("colours", "model.keras", "CC0", LABELS)
    assert (card.width_px, card.height_px, card.scale, card.activation) == (16, 12, "none", "softmax")
    assert (card.interpolation, card.antialias, card.exif) == ("bicubic", False, "ignore")
    assert any(text.startswith("width_px: 16") for text in card.derived)
    assert not any(text.startswith(("interpolation", "exif", "fit", "antialias")) for text in card.assumed)
    text = (folder / "card.toml").read_text()
    assert "width_px = 16 # derived: 16" in text
    assert 'exif = "ignore" # as keras-directory does' in text
    assert card.jpeg_decoder == "tensorflow"
    assert 'interpolation = "bicubic"\n' in text
    assert (folder / "model.keras").read_bytes() == COLOURS.read_bytes()


def test_an_added_model_was_compared_with_keras(place: Path) -> None:
    found = load_card(place / "models" / "colours" / "card.toml").verified
    assert found["engine"] == "openvino"
    assert found["largest_shift"] < 1e-4
    assert found["images"] > 0
    assert {"openvino", "keras"} <= found["versions"].keys()


def test_the_end_says_what_to_do_next_and_leaves_nothing_else_behind(place: Path) -> None:
    said, progress = (place / "said.txt").read_text(), (place / "progress.txt").read_text()
    assert "loading and converting" in progress
    assert "converting" not in said
    assert "python -m turno models check colours --images FOLDER" in said
    assert f"MODEL_PATH={place / 'models' / 'colours'}" in said
    assert {str(entry.relative_to(place / "models")) for entry in (place / "models").rglob("*")} == {
        "colours", "colours/card.toml", "colours/model.keras",
    }  # fmt: skip


def test_a_list_shows_which_models_there_are_and_which_is_served(place: Path, own: Path) -> None:
    (own.parent.parent / "broken").mkdir()
    (own.parent.parent / "broken" / "card.toml").write_text('name = "broken"\nscale = "1/255"\n')
    run = models_in(own.parents[2], MODEL_PATH=str(own.parent))
    shown = run("list").stdout
    assert "colours" in shown
    assert "16 × 12" in shown
    assert "broken/card.toml, line 2: scale is in the wrong place; it belongs under [input]" in shown
    broken, colours = json.loads(run("list", "--json").stdout)
    assert (colours["served"], colours["fault"], colours["card"]["width_px"]) == (True, None, 16)
    assert (broken["served"], broken["card"]) == (False, None)


def test_a_model_is_shown_for_people_and_for_programs(place: Path, turno: Turno) -> None:
    shown = turno("show", "colours").stdout
    assert "served here" not in shown
    for text in ("16 wide × 12 high", "blue, like the sky", "width_px: 16", "engine openvino", "without antialiasing"):
        assert text in shown
    assert json.loads(turno("show", place / "models" / "colours", "--json").stdout)["card"]["scale"] == "none"


def test_a_verification_renews_its_entries_and_leaves_the_rest_as_it_was_written(verified: Path) -> None:
    assert "# mine\n[output]" in verified.read_text()
    assert load_card(verified).verified["engine"] == "openvino"
    assert load_card(verified).verified["at"] != "1999-01-01"


def test_photos_that_support_the_contract_are_noted_in_the_card(verified: Path) -> None:
    before, folder = load_card(verified), verified.parents[2]
    photos, picture = _photos(folder / "photos", LABELS), folder / "check.png"
    checked = models_in(folder)("check", "colours", "--images", photos, "--picture", picture)
    assert checked.exit_code == 0, checked.output
    assert "converting" not in checked.stderr  # the verification has left what it prepared
    assert load_card(verified).checked["photos"] == 66
    assert load_card(verified).contract == before.contract
    assert "# mine\n[output]" in verified.read_text()
    assert picture.exists()


def test_photos_that_support_other_labels_are_said_and_noted_and_the_contract_stays(verified: Path) -> None:
    before, folder = load_card(verified), verified.parents[2]
    photos = _photos(folder / "swapped", [LABELS[1], LABELS[0], LABELS[2]])
    checked = models_in(folder)("check", "colours", "--images", photos)
    assert checked.exit_code == 1
    assert "swapped" in checked.stdout
    card = load_card(verified)
    assert card.contract == before.contract
    assert card.checked["contract"] == "another contract is clearly better"


def test_a_model_of_any_size_is_asked_whether_width_and_height_are_swapped(tmp_path: Path) -> None:
    turno = models_in(tmp_path)
    turno(
        "add", COLOURS.with_name("anySize.keras"), "--labels", ",".join(label[:4] for label in LABELS),
        "--name", "any", "--scale", "none", "--width", "16", "--height", "12",
    )  # fmt: skip
    checked = turno("check", "any", "--images", _photos(tmp_path / "photos", [label[:4] for label in LABELS]))
    assert checked.exit_code == 0, checked.output
    assert "width and height: these photos cannot tell in place from exchanged" in checked.stdout


def test_a_calibration_makes_the_probabilities_mean_what_they_say(verified: Path) -> None:
    folder = verified.parents[2]
    photos = _photos(folder / "doubtful", LABELS)
    for number in range(4):  # of 22 show something else than their folder says
        for one, other in ((0, 1), (1, 2), (2, 0)):
            (photos / LABELS[one] / f"{number}.png").rename(photos / LABELS[other] / f"wrong-{number}.png")
    done = models_in(folder)("calibrate", "colours", "--images", photos, "--right", "0.75")
    assert done.exit_code == 0, done.output
    card = load_card(verified)
    assert 1.5 < card.temperature < 4  # 0.96 was claimed, 0.82 is right
    assert (card.diagnosed_at, card.not_recognised_at) == (0.5, 0.5)
    assert "# fitted on 66 photos" in verified.read_text()
    assert "no calibration" not in load_card(verified).assumed
    assert "# mine\n[output]" in verified.read_text()
    before, after = map(float, re.findall(r"goes from ([0-9.]+) to ([0-9.]+);", done.stdout)[0])
    assert after < 0.02
    assert before > 0.1
    few = _photos(folder / "few", LABELS)
    for file in list((few / "red").iterdir())[:5]:
        file.unlink()
    with pytest.raises(OperatorError, match="too few of red"):
        models_in(folder)("calibrate", "colours", "--images", few)


def _photos(folder: Path, labels: list[str]) -> Path:
    """22 photos of each colour, in folders of these names."""
    noise = np.random.default_rng(3)
    for label, colour in zip(labels, RGB, strict=True):
        (folder / label).mkdir(parents=True)
        for number in range(22):
            pixels = np.clip(noise.normal(colour, 30, (30, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


def test_a_name_that_is_taken_is_refused_and_the_model_stays(place: Path, turno: Turno) -> None:
    with pytest.raises(OperatorError, match=r"There is a colours in .* already"):
        turno(*ADD[:-1], "colours")
    assert load_card(place / "models" / "colours" / "card.toml").licence == "CC0"


def test_a_near_name_is_suggested(turno: Turno) -> None:
    with pytest.raises(OperatorError, match=r"did you mean colours\?"):
        turno("show", "colour")


def test_a_folder_that_has_a_card_is_not_added_anew(turno: Turno, place: Path) -> None:
    folder = place / "models" / "colours"
    for path in (folder, folder / "model.keras"):
        with pytest.raises(OperatorError, match=r"has a card of its own.*models verify colours"):
            turno("add", path, *ADD[2:])


def test_a_written_card_is_the_card(place: Path, tmp_path: Path) -> None:
    known = load_card(place / "models" / "colours" / "card.toml")
    odd: dict[str, Any] = {
        "scale": "custom",
        "mean": (1.0, 2.0, 3.0),
        "deviation": (4.0, 5.0, 6.0),
        "version": 'a"\\\n',
    }
    card: Card = replace(known, **odd, description="ñ\t#", derived=("width_px: 16,\nodd",), antialias=True)
    (tmp_path / "card.toml").write_text(card_text(card, "a\nb", {}), encoding="utf-8")
    assert load_card(tmp_path / "card.toml") == card
