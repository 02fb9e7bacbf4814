"""A model in a bucket is copied whole, only when it changed, and served from its copy when the bucket fails."""

from pathlib import Path
from typing import Any

import pytest

from shared.errors import OperatorError
from shared.logs import configure_logging
from shared.settings import Settings
from tests.s3_server import BUCKET, S3Server
from worker.fetch import fetch_model
from worker.served import find_source

CARD = """
name = "leaf"
version = "1"
file = "leaf.keras"
sha256 = ""
[input]
width_px = 8
height_px = 8
scale = "none"
interpolation = "bilinear"
[output]
activation = "softmax"
[[labels]]
id = "healthy"
[[labels]]
id = "rust"
"""
LARGE = bytes(range(256)) * 70_000  # several pieces


@pytest.fixture
def settings(s3: S3Server, tmp_path: Path) -> Settings:
    return _settings(s3, tmp_path, f"s3://{BUCKET}/models/leaf")


def _settings(s3: S3Server, folder: Path, path: str, **changes: Any) -> Settings:
    return Settings(_env_file=None, **{**s3.settings, "state_dir": folder, "model_path": path, **changes})


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_folder_is_copied_as_it_lies(scheme: str, s3: S3Server, tmp_path: Path) -> None:
    content = {"card.toml": CARD.encode(), "leaf.keras": LARGE, "golden/a b.jpg": b"photo", "golden/golden.json": b"[]"}
    for name, data in {**content, "": b"", "golden/": b""}.items():  # consoles make folders out of empty objects
        s3.put(f"models/leaf/{name}", data)
    s3.put("models/leaf-health/card.toml", b"another model's")
    copy = fetch_model(_settings(s3, tmp_path, f"{scheme}://{BUCKET}/models/leaf"))
    assert copy.name == "leaf"
    assert _files(copy) == content


@pytest.mark.parametrize("name", ["leaf.keras", "leaf.hdf5", "leaf.tflite", "leaf.joblib"])
def test_a_single_file_is_copied_with_what_belongs_to_it(name: str, s3: S3Server, tmp_path: Path) -> None:
    content = {"card.toml": CARD.encode(), name: LARGE, "golden/a.jpg": b"photo"}
    for key, data in {**content, "other.keras": b"x", "notes/a.txt": b"x"}.items():
        s3.put(f"models/{key}", data)
    copy = fetch_model(_settings(s3, tmp_path, f"s3://{BUCKET}/models/{name}"))
    assert copy.name == name
    assert _files(copy.parent) == content


def test_a_card_of_another_file_beside_it_does_not_count(s3: S3Server, tmp_path: Path) -> None:
    for name, data in {"card.toml": CARD.encode(), "leaf.keras": b"x", "other.keras": b"y"}.items():
        s3.put(name, data)
    settings = _settings(s3, tmp_path, f"s3://{BUCKET}/other.keras")
    source = find_source(settings.model_copy(update={"model_path": str(fetch_model(settings))}))
    assert (source.name, source.card) == ("other", None)


def test_what_did_not_change_is_not_fetched_again(settings: Settings, s3: S3Server) -> None:
    s3.put("models/leaf/saved_model.pb", b"graph")
    first = fetch_model(settings)
    written = (first / "saved_model.pb").stat().st_mtime_ns
    second = fetch_model(settings)
    assert second == first
    assert (second / "saved_model.pb").stat().st_mtime_ns == written


def test_what_changed_takes_the_place_of_the_old_copy(settings: Settings, s3: S3Server, tmp_path: Path) -> None:
    for content in (
        {"saved_model.pb": b"old", "variables/gone": b"x"},
        {"saved_model.pb": b"new"},
        {"saved_model.pb": b"now"},
    ):
        s3.fresh()
        for name, data in content.items():
            s3.put(f"models/leaf/{name}", data)
        assert _files(fetch_model(settings)) == content
    assert len(list((tmp_path / "models").iterdir())) == 1


@pytest.mark.parametrize("what", ["the server", "the bucket", "the model"])
def test_without_the_bucket_the_copy_is_served(
    what: str, settings: Settings, s3: S3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    s3.put("models/leaf/saved_model.pb", b"graph")
    first = fetch_model(settings)
    s3.fresh() if what == "the model" else s3.kill() if what == "the server" else s3.remove_bucket()
    configure_logging("INFO")
    assert fetch_model(settings) == first
    assert _files(first) == {"saved_model.pb": b"graph"}
    assert "the copy is served" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["the server", "the bucket", "the model"])
@pytest.mark.parametrize("path", ["leaf", "leaf.keras"])
def test_without_bucket_and_copy_the_start_is_refused(what: str, path: str, s3: S3Server, tmp_path: Path) -> None:
    settings = _settings(s3, tmp_path, f"s3://{BUCKET}/models/{path}")
    s3.put("models/other", b"x")
    if what != "the model":
        s3.kill() if what == "the server" else s3.remove_bucket()
    with pytest.raises(OperatorError, match=f"MODEL_PATH: s3://{BUCKET}/models/{path} cannot be fetched") as refused:
        fetch_model(settings)
    assert "\n" not in str(refused.value)
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize("key", ["%2e%2e/evil", "a/%2e%2e/%2e%2e/%2e%2e/evil", "%2fetc/evil"])
def test_a_name_that_would_leave_the_folder_is_refused(
    key: str, settings: Settings, s3: S3Server, tmp_path: Path
) -> None:
    s3.put(f"models/leaf/{key}", b"x")
    with pytest.raises(OperatorError, match="MODEL_PATH"):
        fetch_model(settings)
    assert list(tmp_path.rglob("*evil*")) == []


def test_a_bucket_alone_names_no_model(s3: S3Server, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="MODEL_PATH: name a folder or a file"):
        fetch_model(_settings(s3, tmp_path, f"s3://{BUCKET}"))
