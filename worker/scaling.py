"""How 0–255 becomes the numbers that the model was trained on."""

from typing import Final

import numpy as np

from shared.cards import Card
from worker.resizing import Float32Array, Pixels

# keras.applications.imagenet_utils.preprocess_input, modes "torch" and "caffe"
_IMAGENET_MEAN: Final = np.array([0.485, 0.456, 0.406], np.float32)
_IMAGENET_DEVIATION: Final = np.array([0.229, 0.224, 0.225], np.float32)
_CAFFE_MEAN_RGB: Final = np.array([123.68, 116.779, 103.939], np.float32)


def scale_pixels(pixels: Pixels, card: Card, out: Float32Array) -> None:
    """Puts the pixels into `out`, in the card's scale and colour order; `mean` and `deviation` are in that order."""
    target = out[..., ::-1] if card.color_order == "BGR" else out
    match card.scale:
        case "none":
            target[...] = pixels
        case "1/255":
            np.divide(pixels, np.float32(255), out=target)
        case "-1..1":
            np.divide(pixels, np.float32(127.5), out=target)
            target -= np.float32(1)
        case "imagenet":
            np.divide(pixels, np.float32(255), out=target)
            target -= _IMAGENET_MEAN
            target /= _IMAGENET_DEVIATION
        case "caffe":
            np.subtract(pixels, _CAFFE_MEAN_RGB, out=target)
        case "custom":
            target[...] = pixels
            out -= np.array(card.mean, np.float32)
            out /= np.array(card.deviation, np.float32)
        case "per-image":
            # tf.image.per_image_standardization: of a plain picture the deviation is taken as that of one odd value
            deviation = max(float(pixels.std(dtype=np.float64)), pixels.size**-0.5)
            np.subtract(pixels, np.float32(pixels.mean(dtype=np.float64)), out=target)
            target /= np.float32(deviation)
        case _:
            raise AssertionError(f"the card's check lets no scale {card.scale!r} through")
