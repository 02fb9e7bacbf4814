"""What the figures were measured on: they mean nothing without it."""

import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bench import cores
from bench.fsync import small_file_seconds
from bench.processes import ROOT

_PACKAGES = ("openvino", "tensorflow", "keras", "pillow", "celery", "fastapi", "uvicorn", "sqlalchemy")


def describe(folder: Path) -> dict[str, Any]:
    """CPU, memory, versions, and what an fsync costs where the benches keep their state."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cpu": _cpu_name(),
        "cores": len(cores.CORES) or os.cpu_count(),
        "measured_core": cores.MEASURED,
        "other_core": cores.OTHERS,
        "memory_mib": psutil.virtual_memory().total // 2**20,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "fsync_ms": round(small_file_seconds(folder) * 1000, 3),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _commit() -> str:
    asked = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, check=False)
    return asked.stdout.decode().strip() or "unknown"
