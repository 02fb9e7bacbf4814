"""Answers that the author's code recorded tell exactly how the model has to be fed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.imagefile import open_image
from tests.worker.check_model import LABELS, Proportional, take_photos
from tests.worker.recordings import TRAINED, check, record, varied_photos
from worker.check import run_check
from worker.preprocessing import preprocess_image_for_prediction
from worker.registry import ServedModel


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty of each class."""
    return varied_photos(tmp_path_factory.mktemp("photos"))


@pytest.mark.parametrize(
    ("wrong", "lines"),
    [
        ({}, []),
        ({"interpolation": "bilinear"}, ['interpolation = "bicubic"']),
        ({"interpolation": "lanczos"}, ['interpolation = "bicubic"']),
        ({"antialias": True}, ["antialias = false"]),
        ({"jpeg_decoder": "tensorflow"}, ['jpeg_decoder = "pillow"']),
        ({"exif": "ignore"}, ['exif = "apply"']),
        ({"fit": "crop"}, ['fit = "stretch"']),
        ({"color_order": "BGR"}, ['color_order = "RGB"']),
        (
            {"scale": "imagenet", "interpolation": "box", "antialias": True, "exif": "ignore"},
            ['scale = "-1..1"', 'interpolation = "bicubic"', "antialias = false", 'exif = "apply"'],
        ),
    ],
    ids=str,
)
def test_every_error_that_moves_a_number_is_found(
    photos: Path, tmp_path: Path, wrong: dict[str, Any], lines: list[str]
) -> None:
    verdict = check(photos, record(photos, tmp_path / "answers.json", TRAINED, 8), **wrong)
    assert verdict.lines == lines
    assert verdict.exit_code == (1 if lines else 0)
    assert verdict.checked["recorded_answers"] == 10
    assert (verdict.checked["recorded_shift"] > 0.001) == bool(lines)
    told = next(sentence for sentence in verdict.sentences if sentence.startswith("The recorded answers to 10 photos"))
    assert ("; as declared they are up to" in told) == bool(lines)
    assert (", as declared." in told) != bool(lines)


def test_what_hardly_moves_a_number_is_no_error(photos: Path, tmp_path: Path) -> None:
    recorded = record(photos, tmp_path / "answers.json", TRAINED, 8)
    verdict = check(photos, recorded, scale="custom", mean=(127.5,) * 3, deviation=(127.6,) * 3)
    assert (verdict.exit_code, verdict.lines) == (0, [])
    assert 1e-6 < verdict.checked["recorded_shift"] < 1e-3


def test_labels_in_another_order_are_found_beside_them(photos: Path, tmp_path: Path) -> None:
    recorded = record(photos, tmp_path / "answers.json", TRAINED, 4)
    verdict = check(photos, recorded, labels=(LABELS[1], LABELS[0], *LABELS[2:]), interpolation="bilinear")
    assert verdict.lines == [
        'interpolation = "bicubic"',
        'the [[labels]] in this order: "healthy", "powdery_mildew", "rust", "not_leaf"',
    ]
    assert any("look swapped" in sentence for sentence in verdict.sentences)


def test_recorded_answers_that_contradict_the_labelled_photos_are_not_believed(photos: Path, tmp_path: Path) -> None:
    """The cell that predicts in many a notebook does not do what its training did."""
    careless = replace(TRAINED, color_order="BGR")
    recorded = record(photos, tmp_path / "answers.json", careless, 4)
    for declared, lines in {"BGR": ['color_order = "RGB"'], "RGB": []}.items():
        verdict = check(photos, recorded, color_order=declared)
        assert any("contradict the recorded answers" in sentence for sentence in verdict.sentences)
        assert (verdict.exit_code, verdict.lines) == (len(lines), lines)


def test_errors_of_who_recorded_carelessly_are_no_advice(photos: Path, tmp_path: Path) -> None:
    careless = replace(TRAINED, color_order="BGR", scale="1/255", jpeg_decoder="tensorflow")
    verdict = check(photos, record(photos, tmp_path / "answers.json", careless, 4))
    assert any("contradict the recorded answers" in sentence for sentence in verdict.sentences)
    assert (verdict.exit_code, verdict.lines) == (0, [])


def test_too_few_labelled_photos_contradict_nothing(tmp_path: Path) -> None:
    photos = take_photos(tmp_path / "photos", 12)
    for file in sorted((photos / "healthy").iterdir()):  # whoever sorted them mistook two classes for each other
        file.rename(photos / "rust" / f"was {file.name}")
    shifted = replace(TRAINED, fit="pad")
    recorded = record(photos, tmp_path / "answers.json", shifted)
    verdict = check(photos, recorded, fit="pad")
    assert not any("contradict" in sentence for sentence in verdict.sentences)
    assert (verdict.exit_code, verdict.lines) == (3, [])


def test_answers_that_are_nearly_given_again_are_called_so(photos: Path, tmp_path: Path) -> None:
    recorded = record(photos, tmp_path / "answers.json", TRAINED, 8)
    answers, off = json.loads(recorded.read_text()), np.array([0.006, -0.002, -0.002, -0.002])
    recorded.write_text(json.dumps({name: (off + row).tolist() for name, row in answers.items()}))
    verdict = check(photos, recorded)
    told = " ".join(verdict.sentences)
    assert "are nearly given again, within 0.006, as declared. No contract gives them exactly" in told
    assert (verdict.exit_code, verdict.lines) == (0, [])


@pytest.mark.parametrize("antialias", [True, False])
def test_the_two_kinds_of_nearest_are_told_apart(photos: Path, tmp_path: Path, *, antialias: bool) -> None:
    """Pillow and TensorFlow pick another of two pixels that are equally near."""
    trained = replace(TRAINED, interpolation="nearest", antialias=antialias)
    recorded = record(photos, tmp_path / "answers.json", trained, 2)
    verdict = check(photos, recorded, interpolation="nearest", antialias=not antialias)
    assert verdict.lines == [f"antialias = {str(antialias).lower()}"]


def test_rows_and_columns_exchanged_are_named_though_no_card_can_say_it(photos: Path, tmp_path: Path) -> None:
    turned = replace(TRAINED, width_px=TRAINED.height_px, height_px=TRAINED.width_px)
    answers = {}
    for file in sorted(photos.rglob("*.png"))[::5]:
        with open_image(file) as image:
            seen = preprocess_image_for_prediction(image, turned).transpose(1, 0, 2)
        answers[f"{file.parent.name}/{file.name}"] = Proportional(TRAINED).predict(seen[None])[0].tolist()
    (tmp_path / "answers.json").write_text(json.dumps(answers))
    few = take_photos(tmp_path / "few", 1)
    for name in answers:
        (few / name).write_bytes((photos / name).read_bytes())
    verdict = check(few, tmp_path / "answers.json")
    assert any("rows and columns exchanged, which no card can say" in sentence for sentence in verdict.sentences)
    assert verdict.exit_code == 1


def test_progress_reaches_its_end(photos: Path, tmp_path: Path) -> None:
    recorded, seen = record(photos, tmp_path / "answers.json", TRAINED, 4), []
    model = ServedModel("leaf", replace(TRAINED, interpolation="nearest"), Proportional(TRAINED))
    run_check(
        model,
        photos,
        picture=None,
        report=None,
        recorded=recorded,
        show=lambda done, all_, _: seen.append((done, all_)),
    )
    ends = [one for one, (done, _) in zip(seen, [*seen[1:], (0, 0)], strict=True) if done < one[0]]
    assert len(ends) == 2  # the recorded answers, then the labels
    assert all(done == all_ for done, all_ in ends)


def test_answers_that_no_contract_gives_are_never_called_fine(photos: Path, tmp_path: Path) -> None:
    foreign = {f"{label}/1.png": [0.1, 0.2, 0.3, 0.4] for label in ("rust", "healthy")}
    (tmp_path / "answers.json").write_text(json.dumps(foreign))
    verdict = check(photos, tmp_path / "answers.json")
    assert (verdict.exit_code, verdict.lines) == (1, [])
    assert verdict.checked["contract"] == "recorded answers are not given again"
    assert "are given again under none of" in verdict.sentences[0]


def test_what_the_photos_do_not_tell_apart_is_said(tmp_path: Path) -> None:
    photos = take_photos(tmp_path / "photos", 20)
    verdict = check(photos, record(photos, tmp_path / "answers.json", TRAINED), jpeg_decoder="tensorflow")
    assert verdict.exit_code == 0
    assert any("give the same numbers with JPEG decoder pillow" in sentence for sentence in verdict.sentences)
