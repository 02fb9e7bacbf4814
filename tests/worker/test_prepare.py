"""A model that was prepared on one machine starts on another without TensorFlow."""

import shutil
from pathlib import Path

import pytest

from shared.errors import OperatorError
from shared.settings import Settings
from tests.conftest import LEAF_HEALTH
from worker import prepare
from worker.prepare import prepare_served_model
from worker.registry import load_served_model


def _settings(state: Path, model: Path) -> Settings:
    return Settings(_env_file=None, state_dir=state, model_path=str(model))  # type: ignore[call-arg]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder of its own."""
    return Path(shutil.copytree(LEAF_HEALTH, tmp_path / "leaf-health", ignore=shutil.ignore_patterns("*.py", "report")))


@pytest.fixture
def here(tmp_path: Path, prepared: Path, model: Path) -> Settings:
    """The machine on which it was prepared."""
    shutil.copytree(prepared, tmp_path / "here" / "prepared")
    return _settings(tmp_path / "here", model)


@pytest.fixture
def _no_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is too small to convert."""

    def too_small(*_: object) -> None:
        raise OperatorError("there is no TensorFlow here")

    monkeypatch.setattr(prepare, "_run_convert", too_small)


@pytest.mark.usefixtures("_no_tensorflow")
def test_what_lies_beside_the_model_is_taken(here: Settings, tmp_path: Path, model: Path) -> None:
    prepare_served_model(here, beside=True)
    there = _settings(tmp_path / "there", model)
    folder = prepare_served_model(there)
    assert folder.parent == there.cache_dir
    assert load_served_model(there).card.name == "leaf-health"
    assert sorted(path.name for path in (model / "prepared").iterdir()) == [folder.name]


@pytest.mark.usefixtures("_no_tensorflow")
def test_what_was_prepared_for_another_file_or_other_settings_is_not(
    here: Settings, tmp_path: Path, model: Path
) -> None:
    prepare_served_model(here, beside=True)
    there = _settings(tmp_path / "there", model).model_copy(update={"batch_max": 3})
    with pytest.raises(OperatorError, match="no TensorFlow here"):
        prepare_served_model(there)


@pytest.mark.usefixtures("_no_tensorflow")
def test_asking_twice_to_keep_it_beside_the_model_is_fine(here: Settings) -> None:
    prepare_served_model(here, beside=True)
    prepare_served_model(here, beside=True)


def test_a_model_folder_that_cannot_be_written_is_said(here: Settings, model: Path) -> None:
    (model / "prepared").write_text("in the way")
    with pytest.raises(OperatorError, match="cannot be copied to"):
        prepare_served_model(here, beside=True)
