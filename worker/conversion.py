"""Runs the two halves of a conversion, each in a process of its own, and says meanwhile how far it is.

TensorFlow exports the model and ends; only then OpenVINO reads what it exported: so the two are never in memory at
once, and a crash of either is a sentence here.
"""

import contextlib
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from shared.errors import OperatorError
from shared.logs import get_logger

log = get_logger(__name__)

UNSERVABLE = 3  # exit code of a half: the last line of its stderr is for the operator
STEP = "step: "  # begins a line on the stdout of a half that says what it does now
# in the target folder: what TensorFlow leaves for OpenVINO, and what it says of it
SAVED_MODEL, TFLITE, CONVERTED = "saved_model", "model.tflite", "converted.json"
_TOLD_SECONDS = 5.0  # between two lines while a step lasts
_MOST_SECONDS = 1800


def export_with_tensorflow(settings_json: str, digest: str, target: Path) -> None:
    """Runs `worker.convert`.

    Raises:
        OperatorError: the model or its card cannot be served, or there is too little memory or time for it.
    """
    code, last_line = _run(("worker.convert", digest, str(target)), "starting TensorFlow", settings_json)
    if code == UNSERVABLE:
        raise OperatorError(last_line)
    if code == -signal.SIGKILL:
        raise OperatorError("Converting the model was killed: most likely this machine has too little memory for it.")
    if code < 0:
        crash = signal.Signals(-code).name
        raise OperatorError(f"Converting the model crashed TensorFlow ({crash}): most likely its file is damaged.")
    if code:
        raise OperatorError(f"Converting the model failed (exit code {code}): {last_line}")


def translate_for_openvino(exported: Path, target: Path) -> None:
    """Runs `worker.translate`; where it fails, `conversion.txt` in the target says why, and TensorFlow serves."""
    command = ("worker.translate", str(exported), str(target / "model.xml"))
    code, last_line = _run(command, "starting OpenVINO")
    if code:
        (target / "conversion.txt").write_text(f"{last_line} (exit code {code})"[:500])
        for half_done in ("model.xml", "model.bin"):
            (target / half_done).unlink(missing_ok=True)


def _run(command: tuple[str, ...], first_step: str, told: str = "") -> tuple[int, str]:
    """The exit code, and the last line of stderr."""
    end = time.monotonic() + _MOST_SECONDS
    with (
        tempfile.TemporaryFile("w+", errors="replace") as errors,
        subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError), process.stdin:  # it may have ended before it read
                process.stdin.write(told.encode())
            _relay_steps(process.pid, process.stdout, first_step, end)
            process.wait(max(0, end - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            raise OperatorError(f"Converting the model took longer than {_MOST_SECONDS} seconds.") from error
        finally:
            process.kill()
        errors.seek(0)
        return process.returncode, (errors.read().strip().splitlines() or ["no reason given"])[-1]


def _relay_steps(pid: int, output: IO[bytes], step: str, end: float) -> None:
    """Logs each step as it begins, the first one `step`, and every few seconds that it lasts.

    Raises:
        TimeoutError: it is past `end`.
    """
    begun = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while time.monotonic() < end:
            if not selector.select(_TOLD_SECONDS):
                seconds = round(time.monotonic() - begun)
                log.info("still converting", step=step, seconds=seconds, resident_mb=_resident_mb(pid))
                continue
            if not (data := output.read(65_536)):
                return
            for line in data.decode(errors="replace").splitlines():
                if line.startswith(STEP):
                    step, begun = line.removeprefix(STEP), time.monotonic()
                    log.info("converting", step=step)
    raise TimeoutError


def _resident_mb(pid: int) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):  # it has just ended, or this is no Linux
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 // 1_000_000
    return None
