"""JPEG pixels as TensorFlow has them, which no option of Pillow gives."""

from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image


def decode_as_tensorflow(image: Image.Image, channels: int) -> Image.Image | None:
    """The opened JPEG with the pixels of `tf.io.decode_jpeg`, whose inverse DCT is libjpeg's fast, inexact one.

    Returns:
        RGB or grey, every pixel the same; None where only Pillow can tell whether the file is damaged, and for CMYK.
    """
    opened: Any = image  # as a file, which has the bytes
    file: BinaryIO = opened.fp
    file.seek(0)
    try:
        pixels: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(
            file.read(), colorspace="GRAY" if channels == 1 else "RGB", fastdct=True, fastupsample=False
        )
    except ValueError:  # libjpeg's warnings, too
        return None
    finally:
        file.seek(0)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
