"""What one job costs each process, and so how many a core of it carries: what ten boxes would give, by arithmetic.

Processor time, not jobs/s: where everything shares two cores no process reaches its ceiling.
"""

import time
from collections.abc import Callable

from bench import cores
from bench.cache import Material
from bench.database import postgresql
from bench.figures import Figure, Figures
from bench.generator import send, upload_request
from bench.plan import Plan
from bench.processes import Process
from bench.service import Service

_JOBS = 1500
_DRAIN_SECONDS = 300.0
_IDLE_SECONDS = 3.0


def measure(plan: Plan) -> list[Figure]:
    """The small model on PostgreSQL, unless said otherwise: several boxes share no SQLite file."""
    usual = plan.workloads("cnn")
    return [row for workload in usual for row in _workload(plan, plan.cache.material(workload))]


def _workload(plan: Plan, material: Material) -> list[Figure]:
    name, total = material.workload.name, plan.jobs or _JOBS
    figures = Figures("ceilings", f"{name}, postgresql", "every process: any core")
    with postgresql(cores.CORES) as (url, server), Service(material, database_url=url) as service:
        service.start("redis", "api", "courier", "worker", on=cores.CORES).wait_warm()
        processes = {**service.processes, "postgresql": server}
        requests = [upload_request(path.read_bytes(), "/v1/jobs") for path in material.images]
        for say in plan.each_round(f"ceilings {name}"):
            say(f"{total} jobs from the upload to the result")
            for process, seconds in _used(processes, lambda: _run(service, requests, total)).items():
                figures.note(f"{process}, CPU of one job", seconds / total * 1000, "ms")
                figures.note(f"{process}, jobs that a core carries", total / seconds, "jobs/s")
            service.forget_images()
    return figures.rows()


def _run(service: Service, requests: list[bytes], total: int) -> None:
    send(service.port, requests, total)
    service.wait_ended(_DRAIN_SECONDS)


def _used(processes: dict[str, Process], work: Callable[[], object]) -> dict[str, float]:
    """CPU seconds of each process while this is done; what they use when idle is not counted."""
    idle = _during(processes, lambda: time.sleep(_IDLE_SECONDS))
    began = time.monotonic()
    used = _during(processes, work)
    share = (time.monotonic() - began) / _IDLE_SECONDS
    return {name: max(used[name] - idle[name] * share, 1e-9) for name in processes}


def _during(processes: dict[str, Process], work: Callable[[], object]) -> dict[str, float]:
    before = {name: process.cpu_seconds() for name, process in processes.items()}
    work()
    return {name: process.cpu_seconds() - before[name] for name, process in processes.items()}
