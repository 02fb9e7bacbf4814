"""How fast one worker on one core empties a line, over decoding and inferring the same pictures and nothing else."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import sqlalchemy as sa

from bench import cores
from bench.cache import Material
from bench.database import database_of
from bench.figures import Figure, Figures, Goal
from bench.generator import send, upload_request
from bench.plan import Plan
from bench.raw import Raw
from bench.service import Service
from shared.tables import jobs

_ROUND_SECONDS = 5.0
_DRAIN_SECONDS = 300.0
_WHERE = "worker and raw loop: core {0}; Redis, courier, database: core {1}"


@dataclass(frozen=True, slots=True)
class Drained:
    """One line, emptied."""

    total: int
    seconds: float  # from the first claim to the last end, as the database recorded them
    cpu_seconds: float  # of the worker, parent and children, in that time


def measure(plan: Plan) -> list[Figure]:
    """A small model, large pictures, a large model."""
    return [
        row
        for workload in plan.workloads("cnn", "photos", "vgg16")
        for row in _workload(plan, plan.cache.material(workload))
    ]


def _workload(plan: Plan, material: Material) -> list[Figure]:
    workload = material.workload
    with database_of(plan.database) as url, Service(material, database_url=url) as service:
        service.start("redis", "courier")
        with Raw(material, service) as raw:
            figures = Figures("drain", workload.name, f"{where()}; {raw.engine}")
            total = plan.jobs or jobs_in_a_round(raw, material)
            for say in plan.each_round(f"drain {workload.name}", workload.rounds_most):
                say(f"submitting {total} jobs")
                fill(service, material, total)
                say("raw loop, first half")
                before = raw.run(total // 2)
                say("worker")
                drained = drain(service)
                say("raw loop, second half")
                alone = before + raw.run(total - total // 2)
                service.forget_images()
                _note(figures, drained, alone, Goal(workload.goal) if workload.goal else None)
    return figures.rows()


def _note(figures: Figures, drained: Drained, alone: Any, goal: Goal | None) -> None:
    rate, raw_rate = drained.total / drained.seconds, alone.total / alone.seconds
    figures.note("raw loop", raw_rate, "images/s")
    figures.note("Turno", rate, "jobs/s")
    figures.note("Turno over raw loop", rate / raw_rate, goal=goal)
    raw_cpu_ms, cpu_ms = alone.cpu_seconds / alone.total * 1000, drained.cpu_seconds / drained.total * 1000
    figures.note("raw loop, CPU", raw_cpu_ms, "ms/image")
    figures.note("Turno, CPU", cpu_ms, "ms/job")
    figures.note_ratio("raw loop's CPU over Turno's", raw_cpu_ms, cpu_ms)


def where() -> str:
    """What runs on which core."""
    return _WHERE.format(cores.named(cores.MEASURED), cores.named(cores.OTHERS))


def jobs_in_a_round(raw: Raw, material: Material) -> int:
    """As many as take about five seconds."""
    fitting = int(_ROUND_SECONDS / raw.facts["image_seconds"])
    return max(material.workload.jobs_least, min(material.workload.jobs_most, fitting))


def fill(service: Service, material: Material, total: int) -> None:
    """Has so many jobs accepted by an API that ends afterwards."""
    requests = [upload_request(path.read_bytes(), "/v1/jobs") for path in material.images]
    service.start("api")
    with cores.on(cores.OTHERS):
        send(service.port, requests, total)
    service.stop("api")


def drain(service: Service, on: list[int] = cores.MEASURED) -> Drained:
    """Starts a worker on these cores and lets it empty the line."""
    began = datetime.now(UTC)
    worker = service.begin("worker", on)
    clock: list[tuple[float, float]] = []
    service.wait_ended(_DRAIN_SECONDS, _sampler(clock, worker.cpu_seconds))
    service.stop("worker")
    service.forget_workers()
    found = sa.select(
        sa.func.min(jobs.c.claimed_at), sa.func.max(jobs.c.finished_at), sa.func.count(), sa.func.count(jobs.c.result)
    ).where(jobs.c.claimed_at >= began)
    first, last, total, succeeded = service.database.read(lambda connection: connection.execute(found).one())
    if succeeded != total:
        raise RuntimeError(f"{total - succeeded} of {total} jobs failed")
    times, used = zip(*clock, strict=True)
    start, end = np.interp([first.timestamp(), last.timestamp()], times, used)
    return Drained(total, (last - first).total_seconds(), float(end - start))


def _sampler(clock: list[tuple[float, float]], cpu_seconds: Callable[[], float]) -> Callable[[], None]:
    def sample() -> None:
        clock.append((time.time(), cpu_seconds()))

    return sample
