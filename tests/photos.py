"""Images for tests, made or taken from the repository."""

import io
from pathlib import Path

from PIL import Image

GOLDEN = Path(__file__).resolve().parents[1] / "models" / "leaf-health" / "golden"

POISON_PX = (13, 13)  # an image of this size kills the worker of tests.e2e, as one would that exhausts the memory
HELD_PX = (17, 17)  # an image of this size is decoded there once the file `release` stands in the state folder


def jpeg(width_px: int = 64, height_px: int = 48, color: tuple[int, int, int] = (30, 140, 40)) -> bytes:
    """A plain JPEG of this size."""
    return encoded(Image.new("RGB", (width_px, height_px), color), "JPEG")


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """An image as a file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
