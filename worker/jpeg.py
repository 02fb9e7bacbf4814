"""JPEG pixels as TensorFlow has them, which no option of Pillow gives."""

from functools import partial
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image


def decode_as_tensorflow(image: Image.Image, channels: int) -> Image.Image | None:
    """The opened JPEG with the pixels of `tf.io.decode_jpeg`, whose inverse DCT is libjpeg's fast, inexact one.

    Returns:
        RGB or grey, every pixel the same; None where it breaks off, which Pillow says in its own words, and of CMYK,
        of which pixels would differ by up to 2.
    """
    if image.mode not in ("RGB", "L"):
        return None
    opened: Any = image  # as a file, which has the bytes
    file: BinaryIO = opened.fp
    file.seek(0)
    data = file.read()
    file.seek(0)
    decode = partial(
        simplejpeg.decode_jpeg, data, colorspace="GRAY" if channels == 1 else "RGB", fastdct=True, fastupsample=False
    )
    try:
        pixels: npt.NDArray[np.uint8] = decode()
    except ValueError as error:
        if "Premature end" in str(error):
            return None
        pixels = decode(strict=False)  # superfluous bytes and the like, over which TensorFlow, too, passes
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
