"""Pictures of the report."""

import csv
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from PIL import Image

from data import LABELS, Ints, Photo, open_photo
from scores import Probabilities, confusion, ece

mpl.use("Agg")
INK, PAPER = "#1f2a24", "#ffffff"
SHOWN_FAILURES = 15


def shown(label: int) -> str:
    """Name a label for reading."""
    return LABELS[label].replace("_", " ")


def draw_confusion(labels: Ints, predicted: Ints, path: Path) -> None:
    """Draw the confusion table with counts; shade is the share of the true class."""
    table = confusion(labels, predicted)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure, axes = plt.subplots(figsize=(6.4, 5.4), layout="constrained")
    axes.imshow(share, cmap="Greens", vmin=0, vmax=1)
    names = [shown(index) for index in range(len(LABELS))]
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for row, column in np.ndindex(table.shape):
        colour = PAPER if share[row, column] > 0.55 else INK
        axes.text(column, row, str(table[row, column]), ha="center", va="center", color=colour)
    axes.set_title(f"Test split, {int(table.sum())} photos")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_failures(folder: Path, photos: Sequence[Photo], guess: Probabilities, labels: Ints, path: Path) -> None:
    """Show the most confident mistakes, at most five of each true class, with their credit."""
    predicted, sureness = guess.argmax(axis=1), guess.max(axis=1)
    wrong = [int(index) for index in np.argsort(-sureness) if predicted[index] != labels[index]]
    chosen: list[int] = []
    for index in wrong:
        alike = sum(labels[other] == labels[index] for other in chosen)
        if alike < 5 and len(chosen) < SHOWN_FAILURES:
            chosen.append(index)
    figure, grid = plt.subplots(3, 5, figsize=(10, 7.2), layout="constrained")
    for axes in grid.flat:
        axes.axis("off")
    for axes, index in zip(grid.flat, chosen, strict=False):
        photo = photos[index]
        axes.imshow(open_photo(folder / photo.file).resize((180, 180)))
        said = f"said {shown(predicted[index])} {sureness[index]:.2f}"
        axes.set_title(f"{photo.crop}, {shown(photo.label)}\n{said}", fontsize=8)
    figure.suptitle(
        "Most confident mistakes on the test split. Photos: iBean (MIT), "
        "Blackgram (CC BY 4.0), PlantVillage and backgrounds (CC0)",
        fontsize=9,
    )
    figure.savefig(path, dpi=96)
    plt.close(figure)
    # A palette keeps the sheet small enough for a repository.
    with Image.open(path) as sheet:
        sheet.convert("RGB").quantize(128).save(path, optimize=True)


def draw_reliability(guesses: dict[str, Probabilities], labels: Ints, path: Path, bins: int = 15) -> None:
    """Draw how often predictions of each confidence are right, with the count of photos below."""
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(5, 5.6), height_ratios=(3, 1), sharex=True, layout="constrained"
    )
    above.plot([0.2, 1], [0.2, 1], color="#999999", linewidth=1, linestyle="--")
    for (name, guess), colour in zip(guesses.items(), ("#b5651d", "#2f7d4f"), strict=True):
        confidence, right = guess.max(axis=1), guess.argmax(axis=1) == labels
        place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
        filled = [bin_ for bin_ in range(bins) if (place == bin_).any()]
        means = [(confidence[place == bin_].mean(), right[place == bin_].mean()) for bin_ in filled]
        gap = ece(guess, labels, bins)
        above.plot(*zip(*means, strict=True), marker="o", markersize=4, color=colour, label=f"{name}, ECE {gap:.3f}")
        below.hist(confidence, bins=bins, range=(0, 1), histtype="step", color=colour)
    above.set(ylabel="share that is right", ylim=(0, 1.02), xlim=(0.2, 1))
    above.legend()
    below.set(xlabel="probability of the predicted class", ylabel="photos")
    figure.savefig(path, dpi=80)
    plt.close(figure)


def draw_history(table: Path, path: Path) -> None:
    """Draw validation macro-F1 and losses over the training time."""
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    judged = [row for row in rows if row["validation_nll"]]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    minutes = [float(row["cpu_minutes"]) for row in judged]
    for name, shown_as in (("validation", "plain"), ("harder", "harder copies")):
        left.plot(minutes, [float(row[f"{name}_macro_f1"]) for row in judged], label=shown_as)
        right.plot(minutes, [float(row[f"{name}_nll"]) for row in judged], label=f"validation, {shown_as}")
    left.set(xlabel="CPU minutes", ylabel="validation macro-F1", ylim=(0, 1))
    left.legend()
    right.plot(
        [float(row["cpu_minutes"]) for row in rows], [float(row["train_loss"]) for row in rows], label="training"
    )
    right.set(xlabel="CPU minutes", ylabel="loss, nats")
    right.legend()
    figure.savefig(path, dpi=80)
    plt.close(figure)
