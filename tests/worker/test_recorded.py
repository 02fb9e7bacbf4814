"""Recorded answers are found for the photos that they are to, or it is said why not."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from shared.errors import OperatorError
from tests.worker.check_model import take_photos
from tests.worker.recordings import TRAINED, check, record, varied_photos


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty of each class."""
    return varied_photos(tmp_path_factory.mktemp("photos"))


def test_photos_that_are_not_here_are_counted_and_never_taken_for_others(photos: Path, tmp_path: Path) -> None:
    recorded = record(photos, tmp_path / "answers.json", TRAINED, 8)
    answers = json.loads(recorded.read_text()) | {"elsewhere/3.png": [1, 0, 0, 0], "rust/999.png": [1, 0, 0, 0]}
    recorded.write_text(json.dumps(answers))
    verdict = check(photos, recorded)
    assert (verdict.exit_code, verdict.checked["recorded_answers"]) == (0, 10)
    assert "Not here, or no image: the photos of 2 recorded answers." in verdict.sentences


def test_folders_may_be_links(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for folder in photos.iterdir():
        (tmp_path / "photos" / folder.name).symlink_to(folder)
    verdict = check(tmp_path / "photos", record(photos, tmp_path / "answers.json", TRAINED, 8))
    assert (verdict.exit_code, verdict.checked["recorded_answers"]) == (0, 10)


@pytest.mark.parametrize("prefix", ["/content/drive/photos/", "C:\\work\\", ""], ids=["colab", "windows", "below"])
def test_photos_are_found_by_the_end_of_their_path(photos: Path, tmp_path: Path, prefix: str) -> None:
    recorded = record(photos, tmp_path / "answers.json", TRAINED, 8, prefix)
    if "\\" in prefix:
        recorded.write_text(recorded.read_text().replace("/", "\\\\"))
    assert check(photos, recorded).checked["recorded_answers"] == 10


def test_accents_are_the_same_however_a_machine_writes_them(tmp_path: Path) -> None:
    take_photos(tmp_path / "photos", 20)
    for folder, name in {"rust": "hoja de café.png", "healthy": "hoja de café.png"}.items():
        (tmp_path / "photos" / folder / "3.png").rename(tmp_path / "photos" / folder / name)
    recorded = record(tmp_path / "photos" / "rust", tmp_path / "answers.json", TRAINED)
    names = {unicodedata.normalize("NFD", name): [row] for name, row in json.loads(recorded.read_text()).items()}
    recorded.write_text(json.dumps({name: row for name, row in names.items() if "hoja" in name}))
    verdict = check(tmp_path / "photos", recorded)
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
        check(photos, tmp_path / "answers.json")


def test_the_photos_that_the_model_is_least_sure_of_are_taken(photos: Path, tmp_path: Path) -> None:
    recorded = record(photos, tmp_path / "answers.json", TRAINED)
    answers = json.loads(recorded.read_text())
    sure = sorted(answers, key=lambda name: max(answers[name]))[24:]
    for name in sure:
        answers[name] = np.roll(answers[name], 1).tolist()  # of these nobody must ask
    recorded.write_text(json.dumps(answers))
    verdict = check(photos, recorded)
    assert (verdict.exit_code, verdict.checked["recorded_answers"]) == (0, 24)
