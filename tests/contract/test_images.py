"""What every image store does, whatever it is made of: an image is there whole or not at all, until it is erased."""

from pathlib import Path
from typing import Any

import pytest

from shared.errors import CapacityError, ImageTypeRefused, OperatorError, StoreUnavailable
from shared.images import ImageStore, open_images
from shared.settings import Settings
from tests.s3_server import BUCKET, S3Server

JOB, OTHER = "0192f7a1c3e47b0f9d5a2b6c8e1f00aa", "0192f7a1c3e47b0f9d5a2b6c8e1f00ab"
BUCKETS = pytest.mark.parametrize("kind", ["s3", "gs"])


@pytest.fixture(params=["local", "s3", "gs"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def settings(kind: str, s3: S3Server, tmp_path: Path) -> Settings:
    place = str(tmp_path / "images") if kind == "local" else f"{kind}://{BUCKET}/some/where"
    return _settings(s3, state_dir=tmp_path, image_store=place)


@pytest.fixture
def images(settings: Settings) -> ImageStore:
    store = open_images(settings)
    store.prepare()
    return store


def _settings(s3: S3Server, **changes: Any) -> Settings:
    return Settings(_env_file=None, **{**s3.settings, **changes})


def _accept(_: Path) -> None:
    """Refuses nothing."""


def _refuse(_: Path) -> None:
    raise ImageTypeRefused


def _keep(images: ImageStore, job_id: str = JOB, image: bytes = b"image") -> None:
    incoming = images.receive(job_id)
    try:
        incoming.append(image)
        incoming.keep(_accept)
    finally:
        incoming.close()


def _left(folder: Path, s3: S3Server) -> list[str]:
    """What lies in folder and bucket, the bucket's mark apart."""
    files = [path.name for path in folder.rglob("*") if path.is_file()]
    return files + [key for key in s3.stored() if not key.endswith("turno-store")]


def test_a_kept_image_is_read_back_byte_by_byte(images: ImageStore, tmp_path: Path, s3: S3Server) -> None:
    incoming = images.receive(JOB)
    incoming.append(b"one")
    incoming.append(bytearray(bytes(range(256)) * 40_000))
    incoming.keep(_accept)
    incoming.close()
    with images.open(JOB) as file:
        assert file.read() == b"one" + bytes(range(256)) * 40_000
    assert len(_left(tmp_path, s3)) == 1


def test_every_kind_of_store_names_images_alike(images: ImageStore, tmp_path: Path, s3: S3Server) -> None:
    _keep(images)
    files = [str(path.relative_to(tmp_path / "images")) for path in (tmp_path / "images").rglob("*") if path.is_file()]
    keys = [key.removeprefix("some/where/") for key in s3.stored()]
    assert f"aa/{JOB}" in files + keys


def test_the_check_sees_the_complete_file(images: ImageStore) -> None:
    seen = []
    incoming = images.receive(JOB)
    incoming.append(b"x" * 100_000)
    incoming.keep(lambda path: seen.append(path.read_bytes()))
    incoming.close()
    assert seen == [b"x" * 100_000]


def test_a_refused_image_leaves_nothing(images: ImageStore, tmp_path: Path, s3: S3Server) -> None:
    incoming = images.receive(JOB)
    incoming.append(b"no image")
    with pytest.raises(ImageTypeRefused):
        incoming.keep(_refuse)
    incoming.close()
    assert _left(tmp_path, s3) == []


@pytest.mark.parametrize("parts", [[], [b"half of it"]])
def test_an_upload_that_broke_off_leaves_nothing(
    parts: list[bytes], images: ImageStore, tmp_path: Path, s3: S3Server
) -> None:
    incoming = images.receive(JOB)
    for part in parts:
        incoming.append(part)
    with pytest.raises(FileNotFoundError):
        images.open(JOB)
    incoming.close()
    assert _left(tmp_path, s3) == []


def test_deleting_twice_is_fine(images: ImageStore, tmp_path: Path, s3: S3Server) -> None:
    _keep(images)
    images.delete(JOB)
    images.delete(JOB)
    assert _left(tmp_path, s3) == []


def test_preparing_twice_keeps_what_is_there(images: ImageStore) -> None:
    _keep(images)
    images.prepare()
    with images.open(JOB) as file:
        assert file.read() == b"image"


def test_an_image_that_is_missing_is_told_from_a_store_that_is(images: ImageStore) -> None:
    with pytest.raises(FileNotFoundError):
        images.open(JOB)
    images.require_readable()
    images.ping()


def test_a_shard_tells_the_old_images_of_one_part(images: ImageStore) -> None:
    _keep(images)
    _keep(images, OTHER)
    soon = -5  # seconds; the server's clock ticks in whole ones
    assert images.shard(0xAA, older_than_seconds=soon) == images.shard(256 + 0xAA, older_than_seconds=soon) == [JOB]
    assert images.shard(0xAB, older_than_seconds=soon) == [OTHER]
    assert images.shard(0xAC, older_than_seconds=soon) == []
    assert images.shard(0xAA, older_than_seconds=3600) == []


def test_a_sweep_removes_begun_uploads_that_are_old(images: ImageStore, tmp_path: Path, s3: S3Server) -> None:
    incoming = images.receive(JOB)
    incoming.append(b"half of it")
    images.shard(0, older_than_seconds=3600)
    assert _left(tmp_path, s3) == [JOB]
    images.shard(0, older_than_seconds=-5)
    assert _left(tmp_path, s3) == []
    incoming.close()


@BUCKETS
@pytest.mark.parametrize("what", ["the server", "the bucket"])
def test_what_cannot_be_reached_is_nobodys_missing_image(
    what: str, images: ImageStore, tmp_path: Path, s3: S3Server
) -> None:
    _keep(images)
    s3.kill() if what == "the server" else s3.remove_bucket()
    with pytest.raises(StoreUnavailable if what == "the server" else (FileNotFoundError, StoreUnavailable)):
        images.open(JOB)
    for question in (images.require_readable, images.ping):
        with pytest.raises(StoreUnavailable):
            question()
    for attempt in (lambda: images.delete(JOB), lambda: images.shard(0xAA, 0)):
        with pytest.raises(OSError, match=r".") as fault:
            attempt()
        assert not isinstance(fault.value, FileNotFoundError)
    with pytest.raises(CapacityError):
        _keep(images, OTHER)


@BUCKETS
def test_an_image_that_the_bucket_did_not_take_leaves_nothing(images: ImageStore, tmp_path: Path, s3: S3Server) -> None:
    s3.kill()
    incoming = images.receive(JOB)
    incoming.append(b"image")
    with pytest.raises(StoreUnavailable):
        incoming.keep(_accept)
    incoming.close()
    assert _left(tmp_path, s3.fresh()) == []


@BUCKETS
def test_a_bucket_whose_mark_expired_gets_a_new_one(images: ImageStore, s3: S3Server) -> None:
    s3.delete("some/where/turno-store")
    images.ping()
    assert s3.stored() == ["some/where/turno-store"]


@BUCKETS
@pytest.mark.parametrize("what", ["the server", "the bucket"])
def test_a_bucket_that_cannot_be_used_is_refused_at_the_start(what: str, settings: Settings, s3: S3Server) -> None:
    s3.kill() if what == "the server" else s3.remove_bucket()
    with pytest.raises(OperatorError, match=f"IMAGE_STORE: {settings.image_store}") as refused:
        open_images(settings).prepare()
    assert "\n" not in str(refused.value)
    assert settings.aws_secret_access_key.get_secret_value() not in str(refused.value)


def test_credentials_that_cannot_be_read_are_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "account.json").write_text("no JSON")
    account = str(tmp_path / "account.json")
    settings = Settings(_env_file=None, image_store="gs://bucket", google_application_credentials=account)
    with pytest.raises(OperatorError, match="GOOGLE_"):
        open_images(settings)
