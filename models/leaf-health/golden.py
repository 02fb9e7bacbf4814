"""Choose the golden images and note their probabilities: golden.py --data FOLDER."""

import argparse
import json
import logging
import shutil
from pathlib import Path

import numpy as np

from data import HERE, LABELS, Photo, data_dir, of_split, read_manifest
from manifest import LICENCES, SOURCES, short
from service import Classifier

LOG = logging.getLogger("leaf-health")
GOLDEN = HERE / "golden"
LARGEST_BYTES = 40_000
# One image for each class and crop that has it; the last entry counts the images.
WANTED = (
    ("healthy", "bean", 1),
    ("healthy", "cherry", 1),
    ("powdery_mildew", "blackgram", 1),
    ("powdery_mildew", "cherry", 1),
    ("rust", "bean", 1),
    ("rust", "apple", 1),
    ("other_damage", "bean", 1),
    ("other_damage", "blackgram", 1),
    ("other_damage", "apple", 1),
    ("not_leaf", "none", 2),
)
CREDITS = {
    "ibean": (
        "iBean, AIR Lab, Makerere University, 2020, github.com/AI-Lab-Makerere/ibean",
        "AIR Lab, Makerere University",
    ),
    "blackgram": (
        "Blackgram plant leaf disease dataset, 2022, doi.org/10.17632/zfcv9fmrgv.3",
        "Talasila et al.",
    ),
    "plantvillage": (
        "PlantVillage, 2015, arXiv:1511.08060; CC0 copy in Mendeley Data tywbtsjrjv",
        "Hughes and Salathé",
    ),
    "background": (
        "Background without leaves, in Mendeley Data tywbtsjrjv",
        "not named",
    ),
}


def choose(classifier: Classifier, folder: Path, photos: list[Photo]) -> list[Photo]:
    """Pick small, rightly read photos, spread from sure to unsure; the median where one is wanted."""
    chosen: list[Photo] = []
    for name, crop, count in WANTED:
        fitting = [
            photo
            for photo in photos
            if LABELS[photo.label] == name
            and photo.crop == crop
            and (folder / photo.file).stat().st_size <= LARGEST_BYTES
        ]
        guess = classifier.predict(classifier.read_all(folder, fitting))
        right = np.flatnonzero(guess.argmax(axis=1) == LABELS.index(name))
        order = right[np.argsort(guess[right, LABELS.index(name)])]
        places = [int(len(order) * (part + 0.5) / count) for part in range(count)]
        chosen += [fitting[int(order[place])] for place in places]
    return chosen


def write_golden(classifier: Classifier, folder: Path, chosen: list[Photo]) -> None:
    """Copy the images, and write golden.json and CREDITS.md."""
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.mkdir()
    entries: list[dict[str, object]] = []
    lines = [
        "# Golden images",
        "",
        "All are from the test split, resized by the data set's compiler and otherwise unchanged.",
        "",
        "| file | shows | author | source | licence |",
        "|---|---|---|---|---|",
    ]
    for photo in chosen:
        name = Path(photo.file).name
        shutil.copyfile(folder / photo.file, GOLDEN / name)
        # One at a time, as the service does: a batch may differ in the last digits.
        guess = classifier.predict(classifier.read(GOLDEN / name)[None])[0]
        entries.append(
            {
                "file": name,
                "label": LABELS[photo.label],
                "probabilities": [round(float(value), 7) for value in guess],
            }
        )
        source, author = CREDITS[short(photo, SOURCES)]
        shows = f"{photo.crop}, {photo.cause}" if photo.crop != "none" else "no leaf"
        licence = short(photo, LICENCES)
        lines.append(f"| {name} | {shows.replace('_', ' ')} | {author} | {source} | {licence} |")
    (GOLDEN / "golden.json").write_text(json.dumps(entries, indent=1) + "\n")
    (GOLDEN / "CREDITS.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Write the golden folder."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", help="folder with manifest.csv; default: DATA_DIR")
    folder = data_dir(options.parse_args().data)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    classifier = Classifier()
    chosen = choose(classifier, folder, of_split(read_manifest(folder), "test"))
    write_golden(classifier, folder, chosen)
    LOG.info("%d golden images are in %s.", len(chosen), GOLDEN)


if __name__ == "__main__":
    main()
