"""Answers that the author's code recorded tell exactly how the model has to be fed."""

import json
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from shared.cards import Card, check_card
from shared.errors import OperatorError
from shared.imagefile import open_image
from tests.worker.check_model import LABELS, Proportional, take_photos, trained_card
from worker.check import Verdict, run_check
from worker.preprocessing import preprocess_image_for_prediction
from worker.registry import ServedModel

_TRAINED = trained_card(interpolation="bicubic", antialias=False)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty of each class; some are JPEGs that lie on their side, some higher than wide."""
    folder = take_photos(tmp_path_factory.mktemp("photos"), 20)
    for number, file in enumerate(sorted(folder.rglob("*.png"))):
        with Image.open(file) as image:
            exif = image.getexif()
            exif[0x0112] = 6
            if number % 3 == 0:
                image.transpose(Image.Transpose.ROTATE_90).save(file.with_suffix(".jpg"), quality=95, exif=exif)
            elif number % 3 == 1:
                image.resize((64, 96)).save(file)  # 64 to 12: some pixels are equally near
        if number % 3 == 0:
            file.unlink()
    return folder


def _record(photos: Path, to: Path, fed: Card, every: int = 1, prefix: str = "") -> Path:
    """What the model answers when it is fed so."""
    answers = {}
    for file in sorted(photos.rglob("*.[pj]*g"))[::every]:
        with open_image(file) as image:
            seen = preprocess_image_for_prediction(image, fed)
        answers[f"{prefix}{file.parent.name}/{file.name}"] = Proportional(_TRAINED).predict(seen[None])[0].tolist()
    to.write_text(json.dumps(answers))
    return to


def _check(photos: Path, recorded: Path, **declared: Any) -> Verdict:
    model = ServedModel("leaf", check_card(replace(_TRAINED, **declared)), Proportional(_TRAINED))
    return run_check(model, photos, picture=None, report=None, show=lambda *_: None, recorded=recorded)


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
    verdict = _check(photos, _record(photos, tmp_path / "answers.json", _TRAINED, 8), **wrong)
    assert verdict.lines == lines
    assert verdict.exit_code == (1 if lines else 0)
    assert verdict.checked["recorded_answers"] == 10
    assert (verdict.checked["recorded_shift"] > 0.001) == bool(lines)
    told = next(sentence for sentence in verdict.sentences if sentence.startswith("The recorded answers to 10 photos"))
    assert ("; as declared they are up to" in told) == bool(lines)
    assert (", as declared." in told) != bool(lines)


def test_what_hardly_moves_a_number_is_no_error(photos: Path, tmp_path: Path) -> None:
    recorded = _record(photos, tmp_path / "answers.json", _TRAINED, 8)
    verdict = _check(photos, recorded, scale="custom", mean=(127.5,) * 3, deviation=(127.6,) * 3)
    assert (verdict.exit_code, verdict.lines) == (0, [])
    assert 1e-6 < verdict.checked["recorded_shift"] < 1e-3


def test_labels_in_another_order_are_found_beside_them(photos: Path, tmp_path: Path) -> None:
    recorded = _record(photos, tmp_path / "answers.json", _TRAINED, 4)
    verdict = _check(photos, recorded, labels=(LABELS[1], LABELS[0], *LABELS[2:]), interpolation="bilinear")
    assert verdict.lines == [
        'interpolation = "bicubic"',
        'the [[labels]] in this order: "healthy", "powdery_mildew", "rust", "not_leaf"',
    ]
    assert any("look swapped" in sentence for sentence in verdict.sentences)


def test_recorded_answers_that_contradict_the_labelled_photos_are_not_believed(photos: Path, tmp_path: Path) -> None:
    """The cell that predicts in many a notebook does not do what its training did."""
    careless = replace(_TRAINED, color_order="BGR")
    recorded = _record(photos, tmp_path / "answers.json", careless, 4)
    for declared, lines in {"BGR": ['color_order = "RGB"'], "RGB": []}.items():
        verdict = _check(photos, recorded, color_order=declared)
        assert any("contradict the recorded answers" in sentence for sentence in verdict.sentences)
        assert (verdict.exit_code, verdict.lines) == (len(lines), lines)


def test_errors_of_who_recorded_carelessly_are_no_advice(photos: Path, tmp_path: Path) -> None:
    careless = replace(_TRAINED, color_order="BGR", scale="1/255", jpeg_decoder="tensorflow")
    verdict = _check(photos, _record(photos, tmp_path / "answers.json", careless, 4))
    assert any("contradict the recorded answers" in sentence for sentence in verdict.sentences)
    assert (verdict.exit_code, verdict.lines) == (0, [])


def test_too_few_labelled_photos_contradict_nothing(tmp_path: Path) -> None:
    photos = take_photos(tmp_path / "photos", 12)
    for file in sorted((photos / "healthy").iterdir()):  # whoever sorted them mistook two classes for each other
        file.rename(photos / "rust" / f"was {file.name}")
    shifted = replace(_TRAINED, fit="pad")
    recorded = _record(photos, tmp_path / "answers.json", shifted)
    verdict = _check(photos, recorded, fit="pad")
    assert not any("contradict" in sentence for sentence in verdict.sentences)
    assert (verdict.exit_code, verdict.lines) == (3, [])


def test_answers_that_are_nearly_given_again_are_called_so(photos: Path, tmp_path: Path) -> None:
    recorded = _record(photos, tmp_path / "answers.json", _TRAINED, 8)
    answers, off = json.loads(recorded.read_text()), np.array([0.006, -0.002, -0.002, -0.002])
    recorded.write_text(json.dumps({name: (off + row).tolist() for name, row in answers.items()}))
    verdict = _check(photos, recorded)
    told = " ".join(verdict.sentences)
    assert "are nearly given again, within 0.006, as declared. No contract gives them exactly" in told
    assert (verdict.exit_code, verdict.lines) == (0, [])


@pytest.mark.parametrize("antialias", [True, False])
def test_the_two_kinds_of_nearest_are_told_apart(photos: Path, tmp_path: Path, *, antialias: bool) -> None:
    """Pillow and TensorFlow pick another of two pixels that are equally near."""
    trained = replace(_TRAINED, interpolation="nearest", antialias=antialias)
    recorded = _record(photos, tmp_path / "answers.json", trained, 2)
    verdict = _check(photos, recorded, interpolation="nearest", antialias=not antialias)
    assert verdict.lines == [f"antialias = {str(antialias).lower()}"]


def test_photos_that_are_not_here_are_counted_and_never_taken_for_others(photos: Path, tmp_path: Path) -> None:
    recorded = _record(photos, tmp_path / "answers.json", _TRAINED, 8)
    answers = json.loads(recorded.read_text()) | {"elsewhere/3.png": [1, 0, 0, 0], "rust/999.png": [1, 0, 0, 0]}
    recorded.write_text(json.dumps(answers))
    verdict = _check(photos, recorded)
    assert (verdict.exit_code, verdict.checked["recorded_answers"]) == (0, 10)
    assert "Not here, or no image: the photos of 2 recorded answers." in verdict.sentences


def test_folders_may_be_links(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for folder in photos.iterdir():
        (tmp_path / "photos" / folder.name).symlink_to(folder)
    verdict = _check(tmp_path / "photos", _record(photos, tmp_path / "answers.json", _TRAINED, 8))
    assert (verdict.exit_code, verdict.checked["recorded_answers"]) == (0, 10)


def test_rows_and_columns_exchanged_are_named_though_no_card_can_say_it(photos: Path, tmp_path: Path) -> None:
    turned = replace(_TRAINED, width_px=_TRAINED.height_px, height_px=_TRAINED.width_px)
    answers = {}
    for file in sorted(photos.rglob("*.png"))[::5]:
        with open_image(file) as image:
            seen = preprocess_image_for_prediction(image, turned).transpose(1, 0, 2)
        answers[f"{file.parent.name}/{file.name}"] = Proportional(_TRAINED).predict(seen[None])[0].tolist()
    (tmp_path / "answers.json").write_text(json.dumps(answers))
    few = take_photos(tmp_path / "few", 1)
    for name in answers:
        (few / name).write_bytes((photos / name).read_bytes())
    verdict = _check(few, tmp_path / "answers.json")
    assert any("rows and columns exchanged, which no card can say" in sentence for sentence in verdict.sentences)
    assert verdict.exit_code == 1


def test_progress_reaches_its_end(photos: Path, tmp_path: Path) -> None:
    recorded, seen = _record(photos, tmp_path / "answers.json", _TRAINED, 4), []
    model = ServedModel("leaf", replace(_TRAINED, interpolation="nearest"), Proportional(_TRAINED))
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
    verdict = _check(photos, tmp_path / "answers.json")
    assert (verdict.exit_code, verdict.lines) == (1, [])
    assert verdict.checked["contract"] == "recorded answers are not given again"
    assert "are given again under none of" in verdict.sentences[0]


def test_what_the_photos_do_not_tell_apart_is_said(tmp_path: Path) -> None:
    photos = take_photos(tmp_path / "photos", 20)
    verdict = _check(photos, _record(photos, tmp_path / "answers.json", _TRAINED), jpeg_decoder="tensorflow")
    assert verdict.exit_code == 0
    assert any("give the same numbers with JPEG decoder pillow" in sentence for sentence in verdict.sentences)


@pytest.mark.parametrize("prefix", ["/content/drive/photos/", "C:\\work\\", ""], ids=["colab", "windows", "below"])
def test_photos_are_found_by_the_end_of_their_path(photos: Path, tmp_path: Path, prefix: str) -> None:
    recorded = _record(photos, tmp_path / "answers.json", _TRAINED, 8, prefix)
    if "\\" in prefix:
        recorded.write_text(recorded.read_text().replace("/", "\\\\"))
    assert _check(photos, recorded).checked["recorded_answers"] == 10


def test_accents_are_the_same_however_a_machine_writes_them(tmp_path: Path) -> None:
    take_photos(tmp_path / "photos", 20)
    for folder, name in {"rust": "hoja de café.png", "healthy": "hoja de café.png"}.items():
        (tmp_path / "photos" / folder / "3.png").rename(tmp_path / "photos" / folder / name)
    recorded = _record(tmp_path / "photos" / "rust", tmp_path / "answers.json", _TRAINED)
    names = {unicodedata.normalize("NFD", name): [row] for name, row in json.loads(recorded.read_text()).items()}
    recorded.write_text(json.dumps({name: row for name, row in names.items() if "hoja" in name}))
    verdict = _check(tmp_path / "photos", recorded)
    assert (verdict.exit_code, verdict.checked["recorded_answers"]) == (0, 1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[", "cannot be read as JSON"),
        ("[1]", "has to be a JSON object of photos and their answers"),
        ("{}", "has to be a JSON object of photos and their answers"),
        ('{"elsewhere.jpg": [1, 0, 0, 0]}', "none of its 1 photos lies in"),
        ('{"1.png": [1, 0, 0, 0]}', "1.png may be any of"),
        (
            '{"rust/1.png": [0.5, 0.5]}',
            "rust/1.png is none of leaf, which has 4 labels and gives softmax",
        ),
        ('{"rust/1.png": [9, 9, 9, 9]}', "none of leaf"),
        ('{"rust/1.png": ["a"]}', "none of leaf"),
        ('{"rust/1.png": null}', "the answer to rust/1.png is none of leaf"),
        ('{"rust/1.png": {"rust": 1}}', "none of leaf"),
        ('{"": [1, 0, 0, 0]}', "none of its 1 photos lies in"),
        ('{"not here/1.png": [1, 0, 0, 0]}', "none of its 1 photos lies in"),
        ('{"a/rust/1.png": [1, 0, 0, 0], "b/rust/1.png": [0, 1, 0, 0]}', "has two answers for"),
        ("[" * 200_000, "cannot be read as JSON"),
    ],
    ids=range(14),
)
def test_a_file_that_holds_no_answers_is_refused_with_the_reason(
    photos: Path, tmp_path: Path, text: str, sentence: str
) -> None:
    (tmp_path / "answers.json").write_text(text)
    with pytest.raises(OperatorError, match=sentence):
        _check(photos, tmp_path / "answers.json")


def test_the_photos_that_the_model_is_least_sure_of_are_taken(photos: Path, tmp_path: Path) -> None:
    recorded = _record(photos, tmp_path / "answers.json", _TRAINED)
    answers = json.loads(recorded.read_text())
    sure = sorted(answers, key=lambda name: max(answers[name]))[24:]
    for name in sure:
        answers[name] = np.roll(answers[name], 1).tolist()  # of these nobody must ask
    recorded.write_text(json.dumps(answers))
    verdict = _check(photos, recorded)
    assert (verdict.exit_code, verdict.checked["recorded_answers"]) == (0, 24)
