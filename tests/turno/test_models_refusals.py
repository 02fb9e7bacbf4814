"""What `turno models` refuses, before anything of TensorFlow starts."""

import shutil
from pathlib import Path

import pytest

from shared.errors import OperatorError
from tests.s3_server import BUCKET, S3Server
from tests.turno.conftest import Start
from tests.turno.modelcommands import ADD, COLOURS, Turno, models_in


@pytest.fixture
def empty(tmp_path: Path) -> Turno:
    """The same where there is no model."""
    return models_in(tmp_path)


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "a name that is a path": ((*ADD[:-1], "../new"), "--name is ../new"),
    "a name with a suffix": ((*ADD[:-1], "new.keras"), "without .keras"),
    "one label": (("add", str(COLOURS), "--labels", "healthy", "--name", "new"), "no file or folder healthy"),
    "a label twice": (("add", str(COLOURS), "--labels", "a,b,a", "--name", "new"), "a comes twice"),
    "an unknown scale": ((*ADD, "--scale", "1/256"), "--scale is 1/256; it must be one of none, .*mean 1/255"),
    "a scale that looks like an option": (
        ("add", "nowhere.keras", *ADD[2:], "--scale", "-1..1"),
        "There is nothing at",
    ),
    "an unknown recipe": ((*ADD, "--recipe", "keras"), "--recipe is keras; it must be one of keras-directory"),
    "a mean alone": ((*ADD, "--mean", "1,2,3"), "--mean and --deviation belong together"),
    "a mean in words": ((*ADD, "--mean", "a", "--deviation", "1"), "--mean takes numbers"),
    "nothing there": (("add", "nowhere.keras", *ADD[2:]), "There is nothing at nowhere.keras"),
    "an unknown model": (("show", "colors"), "There is no model colors"),
    "a folder without a card": (("verify", str(COLOURS.parent)), "has no card.toml: `python -m turno models add"),
}


@pytest.mark.parametrize(("arguments", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_one_sentence_and_nothing_is_made(
    arguments: tuple[str, ...], reason: str, empty: Turno, tmp_path: Path
) -> None:
    with pytest.raises(OperatorError, match=reason):
        empty(*arguments)
    assert not list(tmp_path.glob("models/*"))


def test_a_pickle_is_opened_only_when_that_is_asked_for(empty: Turno, tmp_path: Path) -> None:
    (tmp_path / "model.joblib").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(OperatorError, match=r"runs whatever code its maker put in.*--allow-pickle"):
        empty("add", tmp_path / "model.joblib", *ADD[2:])
    with pytest.raises(OperatorError, match=r"model.joblib cannot be served: "):
        empty("add", tmp_path / "model.joblib", *ADD[2:], "--allow-pickle")


def test_a_file_that_is_no_model_leaves_nothing_and_the_sentence_speaks_of_options(
    empty: Turno, tmp_path: Path
) -> None:
    (tmp_path / "leaf.keras").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
    with pytest.raises(OperatorError, match=r"^leaf.keras cannot be served: it is a Git LFS pointer"):
        empty("add", tmp_path / "leaf.keras", *ADD[2:])
    assert list((tmp_path / "models").iterdir()) == []


def test_a_model_is_not_replaced_by_what_lies_in_it(empty: Turno, tmp_path: Path) -> None:
    (tmp_path / "models" / "new").mkdir(parents=True)
    own = shutil.copy(COLOURS, tmp_path / "models" / "new")
    with pytest.raises(OperatorError, match="move it elsewhere first"):
        empty("add", own, *ADD[2:], "--replace")
    assert Path(own).exists()


def test_a_model_is_taken_from_a_bucket(s3: S3Server, tmp_path: Path) -> None:
    s3.put("leaf.h5", b"version https://git-lfs.github.com/spec/v1\n")
    run = models_in(tmp_path, **{name.upper(): value for name, value in s3.settings.items()})
    with pytest.raises(OperatorError, match=r"^leaf.h5 cannot be served: it is a Git LFS pointer"):
        run("add", f"s3://{BUCKET}/leaf.h5", *ADD[2:])
    with pytest.raises(OperatorError, match=r"s3://.*/none.h5 cannot be fetched"):
        run("add", f"s3://{BUCKET}/none.h5", *ADD[2:])


def test_an_empty_folder_says_how_to_fill_it(empty: Turno) -> None:
    assert "models add" in empty("list").stdout


def test_the_real_command_refuses_in_one_line(start: Start) -> None:
    started = start("-m", "turno", "models", "show", "nothing")
    assert started.process.wait(40) == 2
    assert started.output.splitlines() == ["turno: There is no model nothing in models; it has no model."]
