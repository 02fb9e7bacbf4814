"""The benches run end to end; how fast anything is, no test says."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import pytest
from PIL import Image

from bench.cache import Cache
from bench.processes import plain_environment
from tests.stack import ROOT

_SMALLEST = ("drain", "intake", "--workload", "bundled", "--rounds", "1", "--jobs", "6", "--rows", "0")


@pytest.fixture
def kept(tmp_path: Path, prepared: Path) -> Path:
    """A folder for the benches, with the bundled model prepared."""
    state = Cache(tmp_path, lambda _: None).folder / "prepared" / "leaf-health"
    shutil.copytree(prepared, state / "prepared")
    return tmp_path


def test_the_smallest_set_gives_a_table_and_files_that_agree_and_leaves_nothing_behind(
    kept: Path, short_folder: Path
) -> None:
    environment = plain_environment(TMPDIR=str(short_folder))
    command = [sys.executable, "-m", "bench", *_SMALLEST, "--folder", str(kept)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    document = json.loads((kept / "results.json").read_text())
    assert document["machine"]["cores"] >= 1
    figures = {(one["measure"], one["name"]): one for one in document["figures"]}
    assert {measure for measure, _ in figures} == {"drain", "intake"}
    for (_, name), one in figures.items():
        assert one["least"] <= one["median"] == median(one["rounds"]) <= one["most"]
        assert one["median"] > 0 or "CPU" in name  # its clock ticks 100 times a second
        assert name in done.stdout, "the table has what the file has"
    assert value(figures, "drain", "Turno over raw loop") == pytest.approx(
        value(figures, "drain", "Turno") / value(figures, "drain", "raw loop")
    )
    over_bare = figures["intake", "Turno over bare handler"]
    assert over_bare["median"] == pytest.approx(
        value(figures, "intake", "Turno") / value(figures, "intake", "bare handler")
    )
    assert (over_bare["goal"], over_bare["met"]) == ("≥ 0.5", over_bare["median"] >= 0.5)
    with Image.open(kept / "results.png") as picture:
        picture.verify()

    assert list(short_folder.iterdir()) == []
    assert [process.cmdline() for process in processes_in(short_folder)] == []


def value(figures: dict[tuple[str, str], dict[str, Any]], measure: str, name: str) -> float:
    """The median of one figure."""
    return float(figures[measure, name]["median"])


def processes_in(folder: Path) -> list[psutil.Process]:
    """Those that work below this folder; it may be gone."""
    return [
        process
        for process in psutil.process_iter(["cwd"])
        if (process.info["cwd"] or "").startswith(str(folder)) and process.status() != psutil.STATUS_ZOMBIE
    ]
