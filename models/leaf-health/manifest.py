"""List every photo of the data with its digest: python models/leaf-health/manifest.py --data FOLDER."""

import argparse
import csv
import hashlib
from pathlib import Path

from data import HERE, LABELS, Photo, check_groups, data_dir, read_manifest

# Short names keep the table small; CREDITS.md and MODEL_CARD.md give the full ones.
LICENCES = (
    ("MIT", "MIT"),
    ("CC BY 4.0", "CC-BY-4.0"),
    ("PlantVillage", "CC0-1.0"),
    ("CC0", "CC0-1.0"),
)
SOURCES = (
    ("MIT", "ibean"),
    ("CC BY 4.0", "blackgram"),
    ("PlantVillage", "plantvillage"),
    ("CC0", "background"),
)


def short(photo: Photo, names: tuple[tuple[str, str], ...]) -> str:
    """Find the short name for the licence text of a photo."""
    return next(name for start, name in names if photo.licence.startswith(start))


def rows_of(folder: Path, photos: list[Photo]) -> list[dict[str, str]]:
    """Describe each photo; sha256 is of the file's bytes."""
    return [
        {
            "file": photo.file.rsplit("/", 1)[1],
            "class": LABELS[photo.label],
            "split": photo.split,
            "crop": photo.crop,
            "group": photo.group.split(":", 1)[-1],
            "source": short(photo, SOURCES),
            "licence": short(photo, LICENCES),
            "sha256": hashlib.sha256((folder / photo.file).read_bytes()).hexdigest(),
        }
        for photo in photos
    ]


def main() -> None:
    """Write data-manifest.csv."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", help="folder with manifest.csv; default: DATA_DIR")
    folder = data_dir(options.parse_args().data)
    photos = read_manifest(folder)
    check_groups(photos)
    rows = rows_of(folder, photos)
    with (HERE / "data-manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
