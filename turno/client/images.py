"""Images on their way out: read from the disk while they are sent, and from their beginning when sent again."""

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

Image = str | os.PathLike[str] | bytes | BinaryIO  # a path, an image's bytes, or an open file
Part = tuple[str | None, "bytes | io.RawIOBase"]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An image that can be sent as often as need be."""

    name: str | None
    content: Path | bytes
    size_bytes: int

    def part(self) -> Part:
        """What httpx sends as a file of a form."""
        return self.name, _LateFile(self.content) if isinstance(self.content, Path) else self.content


def outgoing(image: Image) -> Outgoing:
    """The image made ready; an open file is read to its end, for it may not be there to be read again."""
    if isinstance(image, bytes):
        return Outgoing("image", image, len(image))
    if isinstance(image, str | os.PathLike):
        path = Path(image)
        return Outgoing(_sendable(path.name), path, path.stat().st_size)
    content = image.read()
    name = getattr(image, "name", None)
    return Outgoing(_sendable(Path(name).name) if isinstance(name, str) else "image", content, len(content))


def portions(images: Iterable[Image], files_max: int, bytes_max: int) -> Iterator[list[Outgoing]]:
    """The images in lists that one request may hold; an image above `bytes_max` goes alone."""
    portion: list[Outgoing] = []
    size_bytes = 0
    for image in map(outgoing, images):
        if portion and (len(portion) == files_max or size_bytes + image.size_bytes > bytes_max):
            yield portion
            portion, size_bytes = [], 0
        portion.append(image)
        size_bytes += image.size_bytes
    if portion:
        yield portion


def _sendable(name: str) -> str:
    return name.encode("utf-8", "replace").decode("utf-8")  # a file's name need not be text


class _LateFile(io.RawIOBase):
    """A file that is open only while it is read: a batch has more of them than a process may hold open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: io.FileIO | None = None
        self._size_bytes = path.stat().st_size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Goes to the beginning or to the end, which is all that httpx asks for."""
        self.close_file()
        return self._size_bytes if whence == os.SEEK_END else 0

    def tell(self) -> int:
        return 0

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        if self._file is None:
            self._file = io.FileIO(self._path)
        count = self._file.readinto(buffer) or 0
        if not count:
            self.close_file()
        return count

    def close(self) -> None:
        """Closes for good."""
        self.close_file()
        super().close()

    def close_file(self) -> None:
        """Closes the file behind; reading begins anew."""
        if self._file is not None:
            self._file.close()
            self._file = None
