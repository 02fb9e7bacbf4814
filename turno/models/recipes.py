"""What each training tool does with a photo, and with it the code that it leaves behind for the use of its models."""

from typing import Any, Final

RECIPES: Final[dict[str, dict[str, Any]]] = {
    # image_dataset_from_directory: tf.image.resize without antialiasing, of what TensorFlow decoded, EXIF unread
    "keras-directory": {
        "interpolation": "bilinear", "antialias": False, "fit": "stretch", "exif": "ignore",
        "jpeg_decoder": "tensorflow",
    },
    # ImageDataGenerator and load_img: Pillow's resize with Keras' own default, EXIF unread
    "keras-generator": {"interpolation": "nearest", "fit": "stretch", "exif": "ignore", "jpeg_decoder": "pillow"},
    # the Python code of its export: ImageOps.fit by Lanczos, x / 127.5 - 1
    "teachable-machine": {
        "scale": "-1..1", "interpolation": "lanczos", "antialias": True, "fit": "crop", "exif": "ignore",
        "jpeg_decoder": "pillow",
    },
}  # fmt: skip
