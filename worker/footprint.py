"""How much memory a model takes, and the refusal of one for which this machine has no room.

Without it the kernel would end the worker, or something beside it, in the middle of its work and without a word. The
estimates are rather low than high: what is refused could not have worked, what is taken may still be too large.
"""

import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from shared.errors import OperatorError
from shared.limits import usable_memory_bytes
from worker.formats import Format, find_format

if TYPE_CHECKING:
    import h5py

# measured with VGG16 (720×500 and 224×224), EfficientNetB0 and ResNet50: what is not backed by a file, at its peak
_TENSORFLOW_BYTES = 280_000_000
_TENSORFLOW_ALONE_BYTES = 180_000_000  # without Keras
_OPENVINO_BYTES = 30_000_000
_NAME_LENGTHS_AT, _LOCAL_HEADER_BYTES = 26, 30  # of a member of a zip file: APPNOTE.TXT 4.3.7
_KERAS_WEIGHTS = "model.weights.h5"  # in a .keras file


@dataclass(frozen=True, slots=True)
class _Weights:
    """Bytes that Keras reads at once, of all weights, and of the largest of them."""

    read: int
    all: int = 0
    largest: int = 0


def loading_with_tensorflow(model: Path) -> int:
    """Bytes that TensorFlow takes at its peak to load a model of any format.

    Of a .keras file the weights are read at once beside those that were made at random before; the largest of them
    stands there three times more while it is made.
    """
    weights = _read_weights(model)
    return _TENSORFLOW_BYTES + weights.read + weights.all + 3 * weights.largest


def serving_with_tensorflow(exported: Path) -> int:
    """Bytes that TensorFlow takes to serve an exported graph or a .tflite file."""
    return _TENSORFLOW_ALONE_BYTES + _read_weights(exported).read


def serving_with_openvino(model_xml: Path, micro_batches: Sequence[int]) -> int:
    """Bytes that a converted model takes: each batch size has its own copy of the weights, as its kernels want them."""
    return _OPENVINO_BYTES + len(micro_batches) * model_xml.with_suffix(".bin").stat().st_size


def require_memory(needed_bytes: int, to: str, advice: str) -> None:
    """Passes what this machine has room for.

    Args:
        to: what it is needed for, "To serve leaf-health".
        advice: what else can be done than to give it more.

    Raises:
        OperatorError: there is less, with the numbers.
    """
    free = usable_memory_bytes()
    if free is not None and needed_bytes > free:
        raise OperatorError(
            f"{to} takes at least {_mb(needed_bytes)} of memory, and {_mb(free)} can be had here: give it more, "
            f"or {advice}."
        )


def _read_weights(model: Path) -> _Weights:
    try:
        kind = find_format(model)
        if kind is Format.SAVED_MODEL:
            return _Weights(sum(file.stat().st_size for file in (model / "saved_model.pb", *model.glob("variables/*"))))
        if kind is not Format.KERAS:
            return _Weights(model.stat().st_size)
        with model.open("rb") as file:
            if not zipfile.is_zipfile(model):
                return _in_hdf5(file, read=0)
            stored = _stored(file)
            return _in_hdf5(stored, read=stored.size)
    except (
        OSError,
        KeyError,
        ValueError,
        zipfile.BadZipFile,
    ):  # what is no model is refused with its reason
        return _Weights(0)


def _in_hdf5(file: Any, read: int) -> _Weights:
    import h5py  # Keras brings it; who only serves needs none of it

    with h5py.File(file, "r") as content:
        sizes = list(_weights_in(content))
    return _Weights(read, sum(sizes), max(sizes, default=0))


def _weights_in(group: "h5py.Group") -> Iterator[int]:
    for name, entry in group.items():
        if hasattr(entry, "nbytes"):
            yield entry.nbytes
        elif not name.startswith("optimizer"):  # what training left in the file is not loaded
            yield from _weights_in(entry)


class _Part(io.RawIOBase):
    """A part of a file as a file: zipfile's own goes back to the beginning for each look at what was passed."""

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        super().__init__()
        self.size = size
        self._file = file
        self._start = start
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._file.seek(self._start + self._at)
        data = self._file.read(min(len(buffer), max(0, self.size - self._at)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _stored(file: IO[bytes]) -> _Part:
    """The weights in a .keras file, which Keras does not compress.

    Raises:
        ValueError: somebody else did.
    """
    found = zipfile.ZipFile(file).getinfo(_KERAS_WEIGHTS)
    if found.compress_type != zipfile.ZIP_STORED:
        raise ValueError("compressed")
    file.seek(found.header_offset + _NAME_LENGTHS_AT)
    lengths = file.read(4)
    names = int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
    return _Part(file, found.header_offset + _LOCAL_HEADER_BYTES + names, found.file_size)


def _mb(count: int) -> str:
    return f"{count / 1_000_000:,.0f} MB"
