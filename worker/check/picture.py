"""The check's result as a picture: how good each contract is, what is mixed up, and what the model gets to see."""

from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np

mpl.use("agg")  # no screen is needed
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from worker.check.answers import Answers, seen_by_the_model
from worker.check.evidence import Evidence
from worker.check.search import Findings
from worker.resizing import Float32Array

_BARS_MAX: Final = 16
_STRIP: Final = 8  # photos
_WIDTH_INCHES, _BAR_INCHES, _STRIP_INCHES, _HEAD_INCHES = 11.0, 0.27, 1.5, 0.8
_NUMBERS_MAX: Final = 12  # labels, up to which the counts can be read
_DECLARED, _BEST, _OTHER = "#5b7083", "#2f7d4f", "#c9d2d9"
_WRONG: Final = "#b5482f"


def draw(path: Path, findings: Findings, answers: Answers) -> None:
    """Writes a PNG."""
    bars = _bars(findings)
    shown = [("as declared", findings.declared)]
    if findings.best is not findings.declared:
        shown.append((findings.best.contract.title(findings.declared.contract), findings.best))
    size = len(findings.declared.contract.card.labels)
    heights = [len(bars) * _BAR_INCHES + _HEAD_INCHES, min(5.2, 1.8 + 0.45 * size), len(shown) * _STRIP_INCHES]
    canvas = plt.figure(figsize=(_WIDTH_INCHES, sum(heights)), layout="constrained")
    parts: Any = canvas.subfigures(3, height_ratios=heights)
    top, middle, bottom = parts
    _draw_bars(top.subplots(), bars, findings)
    for panel, (title, evidence) in zip(middle.subplots(1, 2), [*shown, ("", None)][:2], strict=True):
        _draw_confusion(panel, title, evidence)
    _draw_strip(bottom, shown, answers)
    canvas.savefig(path, dpi=100, format="png")
    plt.close(canvas)


def _bars(findings: Findings) -> list[Evidence]:
    """The declared and the best contract, and the best others."""
    first = [findings.best] if findings.best is findings.declared else [findings.best, findings.declared]
    known = {(one.contract.feeding, *one.contract.card.label_ids) for one in first}
    others = [one for one in findings.tried if (one.contract.feeding, *one.contract.card.label_ids) not in known]
    others.sort(key=lambda one: -one.balanced)
    return sorted([*first, *others[: _BARS_MAX - len(first)]], key=lambda one: -one.balanced)


def _draw_bars(panel: Axes, bars: list[Evidence], findings: Findings) -> None:
    declared = findings.declared
    for place, evidence in enumerate(bars):
        color = _OTHER
        if evidence is findings.best:
            color = _BEST
        elif evidence is declared:
            color = _WRONG
        panel.barh(
            place, evidence.balanced, color=color, height=0.7, xerr=evidence.whisker, ecolor="#222222", capsize=2
        )
    titles = [evidence.contract.title(declared.contract) for evidence in bars]
    panel.set_yticks(range(len(bars)), titles, fontsize=8)
    for tick, evidence in zip(panel.get_yticklabels(), bars, strict=True):
        tick.set_fontweight("bold" if evidence is declared or evidence is findings.best else "normal")
    panel.axvline(1 / len(declared.contract.card.labels), color="#111111", linewidth=1, linestyle=":")
    panel.set_xlim(0, 1.05)
    panel.invert_yaxis()
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_xlabel(
        f"balanced accuracy on {len(declared.truth)} photos, 95 % whiskers; the dotted line is chance", fontsize=8
    )
    verdict = (
        "the declared contract is supported best" if findings.best is declared else "another one is clearly better"
    )
    panel.set_title(f"{declared.contract.card.name}: {verdict}", fontsize=10)


def _draw_confusion(panel: Axes, title: str, evidence: Evidence | None) -> None:
    if evidence is None:
        panel.set_axis_off()
        return
    counts, ids = evidence.confusion, evidence.contract.card.label_ids
    panel.imshow(counts / counts.sum(axis=1, keepdims=True).clip(1), cmap="Blues", vmin=0, vmax=1)
    panel.set_xticks(range(len(ids)), ids, fontsize=7, rotation=35, ha="right")
    panel.set_yticks(range(len(ids)), ids, fontsize=7)
    if len(ids) <= _NUMBERS_MAX:
        for (row, column), count in np.ndenumerate(counts):
            shade = "white" if count > counts[row].sum() / 2 else "black"
            panel.text(column, row, str(count), ha="center", va="center", fontsize=7, color=shade)
    panel.set_xlabel("answer", fontsize=8)
    panel.set_ylabel("folder", fontsize=8)
    panel.set_title(title, fontsize=9)


def _draw_strip(canvas: Any, shown: list[tuple[str, Evidence]], answers: Answers) -> None:
    photos = [answers.photos[place] for place in np.linspace(0, len(answers.photos) - 1, _STRIP).astype(int)]
    seen = [[seen_by_the_model(photo, evidence.contract) for photo in photos] for _, evidence in shown]
    low, high = (float(np.percentile(np.stack(seen[-1]), part)) for part in (0.5, 99.5))  # in the best one's numbers
    rows = canvas.subfigures(len(shown), 1, squeeze=False)[:, 0]
    for (title, _), pictures, row in zip(shown, seen, rows, strict=True):
        row.suptitle(f"what the model sees: {title}", fontsize=8)
        for panel, pixels, photo in zip(row.subplots(1, _STRIP), pictures, photos, strict=True):
            panel.imshow(_visible(pixels, low, high), cmap="gray", vmin=0, vmax=1)
            panel.set_xticks([])
            panel.set_yticks([])
            panel.set_xlabel(answers.model.card.label_ids[photo.label], fontsize=7)


def _visible(pixels: Float32Array, low: float, high: float) -> Float32Array:
    shown: Float32Array = ((pixels - low) / max(high - low, 1e-9)).clip(0, 1)
    return shown[..., 0] if shown.shape[2] == 1 else shown
