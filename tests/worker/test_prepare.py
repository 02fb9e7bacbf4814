"""A model that was prepared on one machine starts on another without TensorFlow."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from shared.errors import OperatorError
from shared.logs import configure_logging
from shared.settings import Settings
from tests.conftest import LEAF_HEALTH
from tests.worker.test_read_keras import ANSWERS, MODELS, images
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


@pytest.mark.usefixtures("_no_tensorflow")
def test_what_was_found_out_about_a_card_is_shown_and_prepares_nothing_anew(here: Settings, model: Path) -> None:
    prepare_served_model(here)
    with (model / "card.toml").open("a", encoding="utf-8") as card:
        card.write("\n[checked]\nphotos = 80\n")
    prepare_served_model(here)
    assert load_served_model(here).card.checked == {"photos": 80}


def test_a_receipt_tells_how_far_the_engine_is_from_the_framework(here: Settings) -> None:
    prepare_served_model(here)
    verified = load_served_model(here).receipt["verified"]
    assert verified.keys() == {"largest_shift", "images"}
    assert verified["images"] > 1


@pytest.mark.usefixtures("_no_tensorflow")
def test_a_pickled_model_is_opened_only_where_allowed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "leaf.joblib").write_bytes(b"\x80\x04\x95" + b"." * 100)
    settings = _settings(tmp_path / "var", tmp_path / "leaf.joblib")
    with pytest.raises(OperatorError, match=r"runs whatever code its maker put in.*MODEL_ALLOW_PICKLE=true"):
        prepare_served_model(settings)
    configure_logging("INFO")
    with pytest.raises(OperatorError, match="no TensorFlow here"):
        prepare_served_model(settings.model_copy(update={"model_allow_pickle": True}))
    assert "taking a pickled model" in capsys.readouterr().out


@pytest.mark.timeout(300)  # it starts TensorFlow
def test_a_pickled_model_of_keras_2_serves_where_it_is_allowed(tmp_path: Path) -> None:
    settings = _settings(tmp_path / "var", MODELS / "keras-2.15.joblib")
    settings = settings.model_copy(update={"model_allow_pickle": True, "labels": "a,b,c"})
    prepare_served_model(settings)
    served, expected = load_served_model(settings), ANSWERS["keras-2.15.joblib"]
    answers = served.engine.predict(images()[: len(expected)])
    np.testing.assert_allclose(answers, expected, atol=1e-4)
    assert served.card.scale == "none"


@pytest.mark.usefixtures("_no_tensorflow")
def test_what_is_no_model_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    (tmp_path / "leaf.keras").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(OperatorError, match=r"leaf\.keras cannot be served: it is a Git LFS pointer"):
        prepare_served_model(_settings(tmp_path / "var", tmp_path / "leaf.keras"))
