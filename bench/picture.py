"""The figures that say how good it is, as a picture: what is compared, and what has a goal."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")  # no screen is needed
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from bench.figures import Figure

_UNITS = {"": "ratio", "×": "times", "ms": "milliseconds", "s": "seconds", "MiB": "MiB"}
_ROW_INCHES, _WIDTH_INCHES, _HEAD_INCHES = 0.36, 10.0, 1.1
_MET, _MISSED, _FREE = "#2f7d4f", "#b5482f", "#5b7083"


def draw(figures: list[Figure], machine: dict[str, Any], path: Path) -> None:
    """Writes a PNG with a panel for each unit; whiskers reach from the least round to the most."""
    shown = [figure for figure in figures if figure.goal or figure.unit in ("", "×")]
    panels = {unit: rows for unit in _UNITS if (rows := [figure for figure in shown if figure.unit == unit])}
    if not panels:
        return
    heights = [len(rows) * _ROW_INCHES + _HEAD_INCHES for rows in panels.values()]
    size = (_WIDTH_INCHES, sum(heights))
    canvas, axes = plt.subplots(len(panels), figsize=size, height_ratios=heights, squeeze=False, layout="constrained")
    canvas.suptitle(f"{machine['cpu']}, {machine['when'][:10]}, commit {machine['commit']}", fontsize=10)
    for (unit, rows), (panel,) in zip(panels.items(), axes, strict=True):
        _bars(panel, rows)
        goals = "; the line is the goal" if any(row.goal for row in rows) else ""
        panel.set_xlabel(f"{_UNITS[unit]}{goals}", fontsize=8)
    canvas.savefig(path, dpi=110)
    plt.close(canvas)


def _bars(panel: Axes, rows: list[Figure]) -> None:
    for place, figure in enumerate(rows):
        middle = figure.median
        color = _FREE if figure.goal is None else _MET if figure.goal.met(middle) else _MISSED
        whiskers = [[middle - min(figure.values)], [max(figure.values) - middle]]
        panel.barh(place, middle, color=color, height=0.6, xerr=whiskers, ecolor="#222222", capsize=3)
        if figure.goal:
            panel.plot([figure.goal.edge] * 2, [place - 0.4, place + 0.4], color="#111111", linewidth=2)
    panel.set_yticks(range(len(rows)), [f"{row.measure} {row.case}: {row.name}" for row in rows], fontsize=8)
    panel.tick_params(axis="x", labelsize=8)
    panel.invert_yaxis()
    panel.spines[["top", "right"]].set_visible(False)
