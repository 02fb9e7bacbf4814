"""Labels as people have them: typed, in the files of training tools, or as the training folder."""

import json
from pathlib import Path

import pytest

from shared.errors import OperatorError
from turno.models.labels import read_labels

THREE = ["healthy", "rust", "Pepper,_bell"]
FILES: dict[str, tuple[str, str]] = {
    "a label on each line": ("labels.txt", "healthy\nrust\n\n Pepper,_bell \n"),
    "with a byte order mark": ("labels.txt", "\ufeffhealthy\r\nrust\r\nPepper,_bell\r\n"),
    "Teachable Machine's": ("labels.txt", "0 healthy\n1 rust\n2 Pepper,_bell"),
    "numbered in another order": ("labels.txt", "2: Pepper,_bell\n0: healthy\n1: rust\n"),
    "a list": ("labels.json", json.dumps(THREE)),
    "class_indices": ("classes.json", json.dumps({"rust": 1, "Pepper,_bell": 2, "healthy": 0})),
    "class_indices turned round": ("classes.json", json.dumps({"1": "rust", "0": "healthy", "2": "Pepper,_bell"})),
}


@pytest.mark.parametrize(("name", "text"), FILES.values(), ids=FILES)
def test_a_file_of_labels_is_read_as_its_tool_wrote_it(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    assert read_labels(str(tmp_path / name)) == THREE


def test_labels_may_be_typed() -> None:
    assert read_labels("healthy, rust") == ["healthy", "rust"]


def test_lines_that_merely_begin_with_numbers_are_labels(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("2 spots\n3 spots\n")
    assert read_labels(str(tmp_path / "labels.txt")) == ["2 spots", "3 spots"]


def test_the_training_folder_is_numbered_as_keras_does(tmp_path: Path) -> None:
    for name in ("rust", "Zinc", "healthy", "10", "9", ".ipynb_checkpoints"):
        (tmp_path / name).mkdir()
    (tmp_path / "readme.txt").touch()
    assert read_labels(str(tmp_path)) == ["10", "9", "Zinc", "healthy", "rust"]


def test_the_folder_above_the_training_folder_is_refused(tmp_path: Path) -> None:
    for name in ("train", "val", "Test"):
        (tmp_path / name).mkdir()
    with pytest.raises(OperatorError, match="give the one that the model was trained on"):
        read_labels(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 0, "b": 2}', "a label is missing"),
        ('{"a": 0, "b": [1]}', "must hold a list of labels"),
        ("[1, 2]", "is no text"),
        ("{", "must hold a list of labels"),
        ('["a"]', "gives 1 labels"),
        ('["a", " "]', "none empty"),
        ('["a", "b", "a"]', "a comes twice"),
    ],
)
def test_labels_that_are_not_whole_are_refused(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(OperatorError, match=f"--labels: .*{reason}"):
        read_labels(str(tmp_path / "labels.json"))


def test_a_file_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(b"\x80\x04\xff")
    with pytest.raises(OperatorError, match="cannot be read"):
        read_labels(str(tmp_path / "labels.txt"))
