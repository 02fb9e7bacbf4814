"""How long a worker takes from its start until it can take work, and what the first start of all takes."""

import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from bench import cores
from bench.cache import Material
from bench.drain import fill
from bench.figures import Figure, Figures, Goal
from bench.plan import Plan
from bench.service import Service
from shared.tables import jobs

_GOAL_SECONDS = 2.0
_RESULT_SECONDS = 120.0


def measure(plan: Plan) -> list[Figure]:
    """The small model, unless said otherwise."""
    rows = []
    for workload in plan.workloads("cnn"):
        material = plan.cache.material(workload)
        figures = Figures(
            "start", workload.name, f"worker and preparation: core {cores.named(cores.MEASURED)}; all else: the other"
        )
        with Service(material) as service:
            service.start("redis", "courier")
            for say in plan.each_round(f"start {workload.name}"):
                _round(plan, service, material, figures, say)
        rows += figures.rows()
    return rows + _cold(plan)


def _round(plan: Plan, service: Service, material: Material, figures: Figures, say: object) -> None:
    figures.note("prepared already: turno prepare", plan.cache.prepare(material.model, material.state), "s")
    fill(service, material, 1)
    began, clock = datetime.now(UTC), time.perf_counter()
    worker = service.begin("worker", cores.MEASURED)
    service.wait_warm()
    figures.note("worker, start until ready", time.perf_counter() - clock, "s", Goal(_GOAL_SECONDS, at_most=True))
    figures.note("worker, CPU until ready", worker.cpu_seconds(), "s")
    service.wait_ended(_RESULT_SECONDS)
    finished = sa.select(sa.func.max(jobs.c.finished_at))
    first = service.database.read(lambda connection: connection.scalar(finished))
    figures.note("worker, start until first result", (first - began).total_seconds(), "s")
    service.stop("worker")
    service.forget_workers()


def _cold(plan: Plan) -> list[Figure]:
    """Once: it converts and proves the model anew."""
    (workload, *_) = plan.workloads("cnn")
    material = plan.cache.material(workload)
    figures = Figures("start", workload.name)
    plan.say(f"start {workload.name}: preparing it from nothing")
    state = Path(tempfile.mkdtemp(prefix="turno-bench-"))
    try:
        figures.note("never prepared: turno prepare", plan.cache.prepare(material.model, state), "s")
    finally:
        shutil.rmtree(state)
    return figures.rows()
