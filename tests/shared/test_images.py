"""An image is stored whole or not at all, and nothing else is left behind."""

from pathlib import Path

import pytest

from shared.errors import ImageTypeRefused, StorageFull
from shared.images import LocalImages

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


def _refuse(_: Path) -> None:
    raise ImageTypeRefused


def test_a_kept_image_is_read_back_byte_by_byte(images: LocalImages, tmp_path: Path) -> None:
    incoming = images.receive(JOB)
    incoming.append(b"one")
    incoming.append(bytearray(b"two"))
    incoming.keep(_accept)
    incoming.close()
    with images.open(JOB) as file:
        assert file.read() == b"onetwo"
    assert _files(tmp_path / "incoming") == []


def test_the_check_sees_the_complete_file(images: LocalImages) -> None:
    seen = []
    incoming = images.receive(JOB)
    incoming.append(b"x" * 100_000)
    incoming.keep(lambda path: seen.append(path.read_bytes()))
    incoming.close()
    assert seen == [b"x" * 100_000]


def test_a_refused_image_leaves_nothing(images: LocalImages, tmp_path: Path) -> None:
    incoming = images.receive(JOB)
    incoming.append(b"no image")
    with pytest.raises(ImageTypeRefused):
        incoming.keep(_refuse)
    incoming.close()
    assert _files(tmp_path) == []


@pytest.mark.parametrize("parts", [[], [b"half of it"]])
def test_an_upload_that_broke_off_leaves_nothing(parts: list[bytes], images: LocalImages, tmp_path: Path) -> None:
    incoming = images.receive(JOB)
    for part in parts:
        incoming.append(part)
    with pytest.raises(FileNotFoundError):
        images.open(JOB)
    incoming.close()
    assert _files(tmp_path) == []


def test_deleting_twice_is_fine(images: LocalImages, tmp_path: Path) -> None:
    incoming = images.receive(JOB)
    incoming.append(b"image")
    incoming.keep(_accept)
    incoming.close()
    images.delete(JOB)
    images.delete(JOB)
    assert _files(tmp_path) == []


def test_preparing_twice_keeps_what_is_there(images: LocalImages) -> None:
    incoming = images.receive(JOB)
    incoming.append(b"image")
    incoming.keep(_accept)
    incoming.close()
    images.prepare()
    with images.open(JOB) as file:
        assert file.read() == b"image"


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
