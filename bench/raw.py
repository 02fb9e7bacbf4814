"""The raw loop in a process of its own, asked for so many images at a time."""

import json
import sys
from dataclasses import dataclass
from typing import Any, Self

from bench import cores
from bench.cache import Material
from bench.processes import Process
from bench.service import Service


@dataclass(frozen=True, slots=True)
class Took:
    """What so many images took."""

    total: int
    seconds: float
    cpu_seconds: float
    batches: list[float]

    def __add__(self, other: "Took") -> "Took":
        return Took(
            self.total + other.total,
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
            self.batches + other.batches,
        )


class Raw:
    """A context manager: the process waits, idle, between what it is asked."""

    def __init__(self, material: Material, service: Service) -> None:
        """Loads the model, with the environment of this service's worker, on the measured core."""
        command = [sys.executable, "-m", "bench.rawloop", *map(str, material.images)]
        worker = service.programs.worker
        log = service.folder / "raw.log"
        quiet = {**worker.environment, "LOG_LEVEL": "ERROR"}  # lines of the log would stand among the answers
        self._process = Process(command, quiet, service.folder, log, cores.MEASURED, talks=True)
        self.facts: dict[str, Any] = json.loads(self._process.line())

    @property
    def engine(self) -> str:
        """What computes, as the evidence chose it when the model was prepared."""
        return f"{self.facts['engine']} {self.facts['precision']}, {self.facts['micro_batch']} at once"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def run(self, total: int, at_once: int = 0) -> Took:
        """Decodes and infers so many images, in the engine's micro-batches unless said otherwise."""
        said = json.loads(self._process.ask(json.dumps({"total": total, "at_once": at_once})))
        return Took(total, **said)
