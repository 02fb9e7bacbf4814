"""What is read from the environment, and what is refused."""

import os
from pathlib import Path

import pytest

from shared.errors import OperatorError
from shared.models import served_model_name
from shared.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _no_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_port_comes_before_uvicorn_port(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().port == 8000
    monkeypatch.setenv("UVICORN_PORT", "9001")
    assert load_settings().port == 9001
    monkeypatch.setenv("PORT", "9002")
    assert load_settings().port == 9002


def test_the_environment_comes_before_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("LOG_LEVEL=DEBUG\nBATCH_MAX=3\nPORT=9001\n")
    monkeypatch.setenv("LOG_LEVEL", "error")
    assert (load_settings().log_level, load_settings().batch_max, load_settings().port) == ("ERROR", 3, 9001)


def test_an_empty_variable_means_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "BATCH_MAX", "API_KEY", "MODEL_PATH", "LOG_LEVEL", "ENGINE"):
        monkeypatch.setenv(name, "")
    assert load_settings() == Settings()


def test_an_empty_variable_is_none_for_the_bucket_client_either(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = {"AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "GOOGLE_SERVICE_ACCOUNT"}
    for name in empty:
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn")
    load_settings()
    assert not empty & os.environ.keys()
    assert os.environ["AWS_ROLE_ARN"] == "arn"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("UVICORN_PORT", "eight"),
        ("LOG_LEVEL", "loud"),
        ("UPLOAD_MAX_BYTES", "0"),
        ("RETENTION_DAYS", "-1"),
        ("WORKER_CONCURRENCY", "0"),
        ("BATCH_MAX", "1.5"),
        ("ENGINE", "onnx"),
        ("IMAGE_WIDTH_PX", "9000"),
        ("LEASE_SECONDS", "nan"),
        ("IMAGE_STORE", "ftp://server/images"),
        ("IMAGE_STORE", "https://bucket.s3.amazonaws.com"),
        ("IMAGE_STORE", "s3://"),
        ("IMAGE_STORE", "s3://key:secret@bucket/images"),
        ("IMAGE_STORE", "gs://bucket/images?region=here"),
        ("MODEL_PATH", "http://server/leaf.keras"),
        ("AWS_ENDPOINT_URL", "minio:9000"),
        ("AWS_ENDPOINT_URL", "http://key:secret@minio:9000"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(OperatorError, match=name):
        load_settings()


def test_several_bad_values_are_named_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "http")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    with pytest.raises(OperatorError) as refused:
        load_settings()
    sentence = str(refused.value)
    assert "PORT" in sentence
    assert "LOG_LEVEL" in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_secret_does_not_stand_in_the_settings_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "kT9xW2mQ7vB4nR8pL1cZ6yH3sD5fG0jA")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "kT9xW2mQ7vB4nR8pL1cZ6yH3sD5fG0jA")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "kT9xW2mQ7vB4nR8pL1cZ6yH3sD5fG0jA")
    assert "kT9xW2mQ" not in repr(load_settings())
    assert "kT9xW2mQ" not in str(load_settings())


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p@db:5432/turno", "postgresql+psycopg://u:p@db:5432/turno"),
        ("postgresql://u:p@db/turno?sslmode=require", "postgresql+psycopg://u:p@db/turno?sslmode=require"),
        ("postgresql+psycopg://db/turno", "postgresql+psycopg://db/turno"),
        ("sqlite:////srv/turno.sqlite", "sqlite:////srv/turno.sqlite"),
    ],
)
def test_a_database_address_is_given_as_its_provider_writes_it(given: str, used: str) -> None:
    assert Settings(database_url=given).sql_url == used


def test_without_a_database_address_it_is_a_file_in_the_state_folder(tmp_path: Path) -> None:
    settings = Settings(state_dir=Path("var"))
    assert settings.sql_url == f"sqlite:///{tmp_path}/var/turno.sqlite"
    assert settings.images_dir.parent == settings.cache_dir.parent == settings.state_dir


@pytest.mark.parametrize(
    ("given", "used"),
    [("s3://bucket/a/b/", "s3://bucket/a/b"), ("gs://my_bucket", "gs://my_bucket"), ("/mnt/a", "/mnt/a")],
)
def test_images_and_model_lie_in_a_folder_or_in_a_bucket(given: str, used: str) -> None:
    settings = Settings(image_store=given, model_path=given)
    assert (settings.image_store, settings.model_path) == (used, used)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (Path("models/leaf-health"), "leaf-health"),
        ("models/leaf-health/", "leaf-health"),
        ("s3://bucket/models/leaf-health/", "leaf-health"),
        ("gs://bucket/models/Leaf v2.keras", "Leaf-v2"),
        ("s3://bucket", "bucket"),
    ],
)
def test_a_model_is_called_after_the_last_part_of_its_path(path: str | Path, name: str) -> None:
    assert served_model_name(Settings(model_path=path)) == name


def test_a_folder_for_images_is_used_as_it_is() -> None:
    assert Settings(image_store="/mnt/images").images_dir == Path("/mnt/images")


@pytest.mark.parametrize("description", [field.description for field in Settings.model_fields.values()])
def test_every_setting_has_a_sentence(description: str | None) -> None:
    assert description
    assert description.endswith(".")
