"""What a folder of images does where the disk or the folder fails; see tests/contract for what every store does."""

from pathlib import Path

import pytest

from shared.errors import StorageFull
from shared.images.local import LocalImages

JOB = "0192f7a1c3e47b0f9d5a2b6c8e1f00aa"


@pytest.fixture
def images(tmp_path: Path) -> LocalImages:
    store = LocalImages(tmp_path)
    store.prepare()
    return store


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_dir()]


def _accept(_: Path) -> None:
    """Refuses nothing."""


def test_a_file_in_place_of_the_folder_is_a_full_store(tmp_path: Path) -> None:
    (tmp_path / "incoming").write_text("in the way")
    incoming = LocalImages(tmp_path).receive(JOB)
    with pytest.raises(StorageFull):
        incoming.append(b"image")
    incoming.close()


def test_a_disk_without_room_is_a_full_store_and_leaves_nothing(images: LocalImages, tmp_path: Path) -> None:
    (tmp_path / "incoming" / JOB).symlink_to("/dev/full")
    incoming = images.receive(JOB)
    incoming.append(b"fits the buffer, not the disk")
    with pytest.raises(StorageFull):
        incoming.keep(_accept)
    incoming.close()
    assert _files(tmp_path) == []


def test_a_disk_that_fills_up_during_an_upload_is_a_full_store(images: LocalImages, tmp_path: Path) -> None:
    (tmp_path / "incoming" / JOB).symlink_to("/dev/full")
    incoming = images.receive(JOB)
    with pytest.raises(StorageFull):
        incoming.append(bytes(4_000_000))
    incoming.close()
    assert _files(tmp_path) == []


def test_an_image_that_cannot_take_its_place_leaves_nothing(images: LocalImages, tmp_path: Path) -> None:
    (tmp_path / JOB[-2:]).rmdir()
    incoming = images.receive(JOB)
    incoming.append(b"image")
    with pytest.raises(StorageFull):
        incoming.keep(_accept)
    incoming.close()
    assert _files(tmp_path) == []


def test_a_store_with_room_answers_and_a_lost_one_does_not(images: LocalImages, tmp_path: Path) -> None:
    images.ping()
    (tmp_path / "incoming").rmdir()
    with pytest.raises((StorageFull, OSError)):
        images.ping()


def test_a_store_without_room_says_so() -> None:
    with pytest.raises((StorageFull, OSError)):
        LocalImages(Path("/proc")).ping()
