"""Labelled photos find what is wrong with a card, and keep quiet when nothing is."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from shared.errors import OperatorError
from tests.worker.check_model import LABELS, Deaf, Guessing, Proportional, served, take_photos, trained_card
from worker.check import Verdict, run_check
from worker.registry import ServedModel

_TWICE = {"scale": "custom", "mean": (0.0,) * 3, "deviation": (65025.0,) * 3}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty of each class."""
    return take_photos(tmp_path_factory.mktemp("photos"), 20)


def _check(model: ServedModel, photos: Path, **files: Path) -> Verdict:
    return run_check(model, photos, picture=files.get("picture"), report=files.get("report"), show=lambda *_: None)


@pytest.mark.parametrize(
    "trained",
    [{}, {"scale": "1/255", "color_order": "BGR"}, {"scale": "per-image"}, {"fit": "pad"}],
    ids=str,
)
def test_a_card_that_is_right_is_supported(photos: Path, trained: dict[str, Any]) -> None:
    verdict = _check(served(trained_card(**trained)), photos)
    assert (verdict.exit_code, verdict.clearly_better, verdict.lines) == (0, None, [])
    assert verdict.checked["contract"] == "supported"
    assert "No other contract is clearly better than the declared one." in verdict.sentences


@pytest.mark.parametrize(
    ("wrong", "lines"),
    [
        ({"scale": "none"}, ['scale = "-1..1"']),
        ({"scale": "caffe"}, ['scale = "-1..1"']),
        (_TWICE, ['scale = "-1..1"']),
        ({"color_order": "BGR"}, ['color_order = "RGB"']),
        ({"interpolation": "nearest"}, ['interpolation = "bilinear"']),
        ({"fit": "crop"}, ['fit = "stretch"']),
        ({"scale": "1/255", "color_order": "BGR"}, ['scale = "-1..1"', 'color_order = "RGB"']),
        (
            {"labels": (LABELS[1], LABELS[0], *LABELS[2:])},
            ['the [[labels]] in this order: "healthy", "powdery_mildew", "rust", "not_leaf"'],
        ),
        (
            {"labels": (*LABELS[1:], LABELS[0]), "scale": "1/255"},
            ['scale = "-1..1"', 'the [[labels]] in this order: "healthy", "powdery_mildew", "rust", "not_leaf"'],
        ),
    ],
    ids=lambda part: str(part)[:60],
)
def test_an_error_in_the_card_is_found(photos: Path, wrong: dict[str, Any], lines: list[str]) -> None:
    verdict = _check(served(trained_card(), **wrong), photos)
    assert verdict.exit_code == 1
    assert verdict.lines == lines


def test_a_scale_applied_twice_in_training_is_written_with_its_numbers(photos: Path) -> None:
    verdict = _check(served(trained_card(**_TWICE), scale="1/255", mean=(), deviation=()), photos)
    assert verdict.lines == ['scale = "custom"', "mean = [0.0, 0.0, 0.0]", "deviation = [65025.0, 65025.0, 65025.0]"]


def test_swapped_labels_are_told_with_both_figures(photos: Path) -> None:
    verdict = _check(served(trained_card(), labels=(LABELS[0], LABELS[2], LABELS[1], LABELS[3])), photos)
    told = next(sentence for sentence in verdict.sentences if "look swapped" in sentence)
    assert told.startswith("labels 2, 3 look swapped (rust is powdery_mildew, powdery_mildew is rust): 0.0")
    assert told.endswith(" swapped.")


def test_rows_and_columns_exchanged_in_training_are_named_though_no_card_can_say_it(photos: Path) -> None:
    model = served(trained_card())
    model.engine._looks = _transposed(model.engine._looks)  # type: ignore[attr-defined]
    verdict = _check(model, photos)
    assert verdict.exit_code == 1
    assert any("rows and columns exchanged, which no card can say" in sentence for sentence in verdict.sentences)


def _transposed(looks: Any) -> Any:
    """What the model would have learned of pictures resized to height × width, rows and columns then exchanged."""
    turned = trained_card(width_px=looks.shape[1], height_px=looks.shape[2])
    return served(turned).engine._looks.transpose(0, 2, 1, 3)  # type: ignore[attr-defined]


def test_ways_to_resize_that_make_no_difference_are_said_not_guessed(photos: Path) -> None:
    verdict = _check(served(trained_card(), interpolation="lanczos"), photos)
    assert verdict.exit_code == 0
    assert any("cannot tell lanczos with antialias on from" in sentence for sentence in verdict.sentences)


def test_few_photos_are_never_called_fine(tmp_path: Path) -> None:
    verdict = _check(served(trained_card()), take_photos(tmp_path, 6))
    assert verdict.exit_code == 3
    assert any("The evidence is weak: fewer than 20 photos of healthy" in sentence for sentence in verdict.sentences)


def test_few_photos_may_still_be_enough_to_see_an_error(tmp_path: Path) -> None:
    verdict = _check(served(trained_card(), scale="none"), take_photos(tmp_path, 10))
    assert (verdict.exit_code, verdict.lines) == (1, ['scale = "-1..1"'])
    assert any("The evidence is weak" in sentence for sentence in verdict.sentences)


def test_photos_of_one_label_prove_nothing(tmp_path: Path) -> None:
    verdict = _check(served(trained_card()), take_photos(tmp_path, 25, ["rust"]))
    assert verdict.exit_code == 3
    assert any("All photos are of one label" in sentence for sentence in verdict.sentences)


def test_a_model_that_knows_nothing_and_is_sure_of_it_is_no_evidence_for_a_scale(photos: Path) -> None:
    verdict = _check(ServedModel("leaf", trained_card(scale="none"), Guessing()), photos)
    assert (verdict.exit_code, verdict.lines) == (3, [])


def test_a_model_that_answers_always_the_same_is_told(photos: Path) -> None:
    verdict = _check(ServedModel("leaf", trained_card(), Deaf()), photos)
    assert verdict.exit_code == 3
    told = " ".join(verdict.sentences)
    assert "the model answers the same to every photo" in told
    assert "No contract tried makes the answers better than chance" in told


def test_labels_that_nobody_can_tell_apart_are_told(tmp_path: Path) -> None:
    take_photos(tmp_path, 40)
    for number in range(0, 40, 2):  # every other photo of two classes lies in the other one's folder
        rust, mildew = (tmp_path / label / f"{number}.png" for label in ("rust", "powdery_mildew"))
        rust.rename(tmp_path / "between")
        mildew.rename(rust)
        (tmp_path / "between").rename(mildew)
    verdict = _check(served(trained_card()), tmp_path)
    assert verdict.exit_code == 0
    assert any("powdery_mildew and rust are mixed up so often" in sentence for sentence in verdict.sentences)


def test_a_class_without_photos_is_said(tmp_path: Path) -> None:
    verdict = _check(served(trained_card()), take_photos(tmp_path, 20, ["healthy", "rust", "powdery_mildew"]))
    assert verdict.checked["without_photos"] == ["not_leaf"]
    assert any("No photos of not_leaf" in sentence for sentence in verdict.sentences)


def test_damaged_doubled_and_unknown_files_are_named_and_left_out(tmp_path: Path) -> None:
    take_photos(tmp_path, 21)
    (tmp_path / "rust" / "cut.png").write_bytes((tmp_path / "rust" / "0.png").read_bytes()[:200])
    (tmp_path / "rust" / "again.png").write_bytes((tmp_path / "rust" / "1.png").read_bytes())
    (tmp_path / "late_blight").mkdir()
    verdict = _check(served(trained_card()), tmp_path)
    assert (verdict.exit_code, verdict.checked["photos"]) == (0, 4 * 21)
    told = " ".join(verdict.sentences)
    assert "cut.png" in told
    assert "the same picture lies there twice (1)" in told
    assert "no label is called so: the folders late_blight" in told


@pytest.mark.parametrize(
    ("orientation", "turn"), [(3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90)], ids=["down", "on side"]
)
def test_exif_is_asked_about_where_photos_have_it(
    orientation: int, turn: Image.Transpose, photos: Path, tmp_path: Path
) -> None:
    _turned(photos, tmp_path / "held so", orientation, turn)
    _turned(photos, tmp_path / "said so", orientation, None)
    upright, as_stored = trained_card(), trained_card(exif="ignore")
    assert _check(served(upright), tmp_path / "held so").exit_code == 0
    assert _check(served(upright, exif="ignore"), tmp_path / "held so").lines == ['exif = "apply"']
    assert _check(served(as_stored), tmp_path / "said so").exit_code == 0
    assert _check(served(as_stored, exif="apply"), tmp_path / "said so").lines == ['exif = "ignore"']


def _turned(photos: Path, to: Path, orientation: int, turn: Image.Transpose | None) -> None:
    """Photos that say in EXIF how the camera was held, and lie as it was held, or not."""
    for file in photos.rglob("*.png"):
        (to / file.parent.name).mkdir(parents=True, exist_ok=True)
        with Image.open(file) as image:
            exif = image.getexif()
            exif[0x0112] = orientation
            (image if turn is None else image.transpose(turn)).save(to / file.relative_to(photos), exif=exif)


def test_width_and_height_swapped_in_the_card_of_a_model_that_takes_any_size(photos: Path) -> None:
    trained = trained_card(width_px=8, height_px=12)
    model, swapped = ServedModel("leaf", trained_card(), Deaf()), served(trained)
    verdict = run_check(model, photos, picture=None, report=None, show=lambda *_: None, swapped=swapped)
    assert (verdict.exit_code, verdict.lines) == (1, ["width_px = 8", "height_px = 12"])


def test_a_scale_that_leaves_the_answers_right_and_far_too_sure_is_found(tmp_path: Path) -> None:
    photos = take_photos(tmp_path, 20)
    for number in range(4):  # of a model that is never wrong nobody knows how sure it should be
        (photos / "rust" / f"{number}.png").rename(photos / "healthy" / f"rust {number}.png")
        (photos / "healthy" / f"{number}.png").rename(photos / "rust" / f"healthy {number}.png")
    model = Proportional(trained_card(scale="1/255"))
    assert _check(ServedModel("leaf", trained_card(scale="1/255"), model), photos).exit_code == 0
    for wrong, how in {"none": "too sure", "custom": "too unsure"}.items():
        numbers = {"mean": (0.0,) * 3, "deviation": (65025.0,) * 3} if wrong == "custom" else {}
        verdict = _check(ServedModel("leaf", trained_card(scale=wrong, **numbers), model), photos)
        assert (verdict.exit_code, verdict.lines) == (1, ['scale = "1/255"'])
        assert any(f"As declared, the model is {how} of its answers" in sentence for sentence in verdict.sentences)


def test_the_findings_are_written_and_drawn(photos: Path, tmp_path: Path) -> None:
    picture, report = tmp_path / "check.png", tmp_path / "check.json"
    verdict = _check(served(trained_card(), scale="none"), photos, picture=picture, report=report)
    assert picture.read_bytes().startswith(b"\x89PNG")
    document = json.loads(report.read_text())
    assert document["sentences"] == verdict.sentences
    assert document["best"]["changes"] == {"scale": "-1..1"}
    assert document["tried"][0]["contract"] == "as declared"


def test_a_report_that_cannot_be_written_is_said(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot be written"):
        _check(served(trained_card()), photos, report=tmp_path / "nowhere" / "check.json")


def test_progress_reaches_its_end(photos: Path) -> None:
    seen: list[tuple[int, int]] = []
    run_check(
        served(trained_card()), photos, picture=None, report=None, show=lambda done, all_, _: seen.append((done, all_))
    )
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]


def test_a_slow_model_is_asked_about_some_photos_first(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.check.search._PATIENCE_SECONDS", 0.0)
    seen: list[str] = []
    model = served(trained_card(), scale="1/255", color_order="BGR")
    verdict = run_check(model, photos, picture=None, report=None, show=lambda _, __, doing: seen.append(doing))
    assert verdict.lines == ['scale = "-1..1"', 'color_order = "RGB"']
    assert any("on some photos" in doing for doing in seen)


def test_a_card_of_grey_pictures_is_checked_without_colours(photos: Path) -> None:
    grey = trained_card(channels=1)
    assert _check(served(grey), photos).exit_code == 0
    assert _check(served(grey, scale="none"), photos).lines == ['scale = "-1..1"']


def test_no_more_photos_than_asked_for_are_looked_at(photos: Path) -> None:
    verdict = run_check(served(trained_card()), photos, most=7, picture=None, report=None, show=lambda *_: None)
    assert verdict.checked["photos"] == 28
