"""The photographs: the manifest, and loading whole photos exactly as the service does."""

import csv
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

HERE = Path(__file__).resolve().parent
LABELS = ("healthy", "powdery_mildew", "rust", "other_damage", "not_leaf")
NOT_LEAF = LABELS.index("not_leaf")
HEALTHY = LABELS.index("healthy")
IMAGE_PX = 180
FIELD_CROPS = ("bean", "blackgram")
LAB_CROPS = ("apple", "cherry")

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Texts = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Photo:
    """One row of the manifest."""

    file: str
    label: int
    cause: str
    crop: str
    group: str
    licence: str
    source: str

    @property
    def split(self) -> str:
        """Name the split: train, validation or test."""
        return self.file.split("/", 1)[0]

    @property
    def crop_and_class(self) -> str:
        """Name both, for tables."""
        return f"{self.crop} {LABELS[self.label]}"


def data_dir(given: str | None) -> Path:
    """Find the data folder from the option or from DATA_DIR."""
    value = given or os.environ.get("DATA_DIR")
    if not value:
        raise SystemExit("Say where the photos are: --data FOLDER, or DATA_DIR=FOLDER.")
    folder = Path(value)
    if not (folder / "manifest.csv").is_file():
        raise SystemExit(f"There is no manifest.csv in {folder}.")
    return folder


def read_manifest(folder: Path) -> list[Photo]:
    """Read every photo of the manifest, sorted by file name."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    photos = [
        Photo(
            file=row["file"],
            label=LABELS.index(row["class"]),
            cause=row["cause"],
            crop=row["crop"],
            group=row["group"],
            licence=row["licence"],
            source=row["source"],
        )
        for row in rows
    ]
    return sorted(photos, key=lambda photo: photo.file)


def check_groups(photos: Sequence[Photo]) -> None:
    """Refuse a manifest in which one photograph group lies in two splits."""
    splits: dict[str, str] = {}
    for photo in photos:
        if splits.setdefault(photo.group, photo.split) != photo.split:
            raise SystemExit(f"Group {photo.group} is in two splits.")


def of_split(photos: Sequence[Photo], split: str) -> list[Photo]:
    """Keep the photos of one split."""
    return [photo for photo in photos if photo.split == split]


def open_photo(path: Path) -> Image.Image:
    """Open a photo upright and in RGB."""
    with Image.open(path) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def load_photo(path: Path, px: int) -> Bytes:
    """Load the whole photo, squeezed to uint8 (px,px,3)."""
    resized = open_photo(path).resize((px, px), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.uint8)


def worsened(image: Image.Image, random: np.random.Generator) -> Image.Image:
    """Send a photo through fewer pixels and a coarse JPEG, as messengers do."""
    small = image.resize([max(48, round(side * random.uniform(0.35, 1.0))) for side in image.size])
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=int(random.integers(15, 70)))
    return Image.open(buffer).convert("RGB")


def load_photos(folder: Path, photos: Sequence[Photo], px: int, worse: float = 0.0) -> Bytes:
    """Load photos into uint8 (N,px,px,3), a share of them made worse, always the same ones."""
    out = np.empty((len(photos), px, px, 3), np.uint8)

    def fill(index: int) -> None:
        image = open_photo(folder / photos[index].file)
        random = np.random.default_rng([px, index])
        if random.random() < worse:
            image = worsened(image, random)
        out[index] = np.asarray(image.resize((px, px), Image.Resampling.BILINEAR))

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(fill, range(len(photos))))
    return out


def labels_of(photos: Sequence[Photo]) -> Ints:
    """List the label indices, (N,)."""
    return np.array([photo.label for photo in photos], np.int64)


def class_weights(labels: Ints) -> Floats:
    """Weigh each class by the inverse root of its count, (classes,), mean 1 over photos."""
    counts = np.bincount(labels, minlength=len(LABELS)).astype(np.float64)
    weights = 1.0 / np.sqrt(counts)
    weights /= (weights * counts).sum() / counts.sum()
    return weights.astype(np.float32)
