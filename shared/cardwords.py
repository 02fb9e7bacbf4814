"""The words of a card: its entries, what each may say, and what somebody meant who wrote another one.

Standard library only.
"""

import difflib
import re
from collections.abc import Iterable
from typing import Final

COLOR_ORDERS = ("RGB", "BGR")
INTERPOLATIONS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")  # Pillow's filters
ALWAYS_AVERAGE = ("box", "hamming")  # filters without a form that looks at single pixels
# what the outputs are: probabilities that sum to one · one probability, of the second of two labels; or one for each
# label, which do not sum to one · raw numbers, of which softmax (or, of one alone, the logistic function) makes them
ACTIVATIONS = ("softmax", "sigmoid", "logits")
# none: 0–255 as decoded · 1/255: 0–1 · -1..1: x/127.5-1 (Keras mode "tf") · imagenet: mean and deviation
# of ImageNet after 1/255 (mode "torch") · caffe: ImageNet channel means subtracted from 0–255 (mode "caffe")
# per-image: by the image's own mean and deviation (tf.image.per_image_standardization)
# custom: (x - mean) / deviation with the card's own, of 0–255
SCALES = ("none", "1/255", "-1..1", "imagenet", "caffe", "per-image", "custom")
# the whole image at another aspect · the middle, cut to the aspect · the whole image on black
FITS = ("stretch", "crop", "pad")
EXIF_RULES = ("apply", "ignore")
JPEG_DECODERS = ("pillow", "tensorflow")  # the latter takes libjpeg's shortcut for the inverse DCT

TOP = {"name", "version", "file", "sha256", "description", "licence", "derived", "assumed", "verified", "checked"}
INPUT = {
    "width_px", "height_px", "channels", "color_order", "scale", "mean", "deviation", "interpolation", "antialias",
    "fit", "exif", "jpeg_decoder",
}  # fmt: skip
OUTPUT = {"activation", "temperature", "diagnosed_at", "not_recognised_at", "tolerance"}
TABLES = {"": TOP, "input": INPUT, "output": OUTPUT}
EVERY = TOP | INPUT | OUTPUT | {"input", "output", "labels"}
LABEL = {"id", "recognised", "name", "advice"}
NUMBERS = (
    ("temperature", 0.01, 100.0),
    ("diagnosed_at", 0.0, 1.0),
    ("not_recognised_at", 0.0, 1.0),
    ("tolerance", 0.0, 1.0),
)
LISTS = ("mean", "deviation", "derived", "assumed")
TEXTS = ("name", "version", "file", "sha256", "description", "licence")
CHOICES = {
    "color_order": COLOR_ORDERS,
    "scale": SCALES,
    "interpolation": INTERPOLATIONS,
    "antialias": (True, False),
    "fit": FITS,
    "exif": EXIF_RULES,
    "jpeg_decoder": JPEG_DECODERS,
    "activation": ACTIVATIONS,
    "channels": (1, 3),
}
REQUIRED = ("name", "version", "file", "width_px", "height_px", "scale")

_ALSO_CALLED: Final = {  # by Keras, OpenCV and the notebooks of others
    "tf": "-1..1", "torch": "imagenet", "0..1": "1/255", "raw": "none", "standardization": "per-image",
    "linear": "logits", "area": "box", "lanczos3": "lanczos", "lanczos4": "lanczos", "cubic": "bicubic",
    "linear interpolation": "bilinear", "letterbox": "pad", "squash": "stretch", "center_crop": "crop",
    "std": "deviation", "classes": "labels", "class_names": "labels", "color_mode": "color_order",
    "license": "licence", "rescale": "scale", "resize": "interpolation", "threshold": "diagnosed_at",
}  # fmt: skip
_SIZES: Final = re.compile(r"((input|image|img|target)_?)?(size|shape|dims?)")


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """A hint to put behind a sentence about a word that is not known; empty where nothing is near."""
    text, known = str(word).strip().lower(), list(known)
    if _SIZES.fullmatch(text) and "width_px" in known:
        return "; width and height are told by name, width_px and height_px, so that nobody can swap them"
    by_small = {one.lower(): one for one in known}
    also = _ALSO_CALLED.get(text, "")
    near = [also] if also in known else difflib.get_close_matches(text, by_small, 1)
    return f"; did you mean {by_small.get(near[0].lower())}?" if near else ""
