"""What each process takes of memory: idle, under load, and after very many jobs."""

import time
from collections.abc import Callable

import psutil

from bench import cores
from bench.cache import Material
from bench.figures import Figure, Figures, Goal
from bench.generator import send, upload_request
from bench.plan import Plan
from bench.processes import pss_mib
from bench.service import Service
from shared.line import Line

_JOBS = 20_000
_MOST_SECONDS = 170.0
_CHUNK = 250  # submitted at once; as many may wait, so that the worker is never idle and the line never long
_SETTLE_SECONDS = 3.0
_GOALS_MIB = {"api": 150, "courier": 100, "worker": 300}
_OTHERS = ("redis", "courier", "api")


def measure(plan: Plan) -> list[Figure]:
    """Once for each workload: it is the longest of the measures."""
    usual = plan.workloads("cnn")
    return [row for workload in usual for row in _workload(plan, plan.cache.material(workload))]


def _workload(plan: Plan, material: Material) -> list[Figure]:
    name = material.workload.name
    plan.say(f"memory {name}: idle")
    with Service(material) as service:
        service.start(*_OTHERS).start("worker", on=cores.MEASURED).wait_warm()  # as on a machine with one CPU
        time.sleep(_SETTLE_SECONDS)
        idle = proportional_mib(service)
        done, sizes = _load(plan, service, material)
        service.wait_ended(_MOST_SECONDS)
        time.sleep(_SETTLE_SECONDS)
        after, private = proportional_mib(service), proportional_mib(service, _unique_mib)
    where = f"worker: core {cores.named(cores.MEASURED)}; all else: core {cores.named(cores.OTHERS)}"
    figures = Figures("memory", f"{name}, {done:,} jobs", f"{where}; PSS unless it says USS")
    for process, size in idle.items():
        figures.note(f"{process}, most under load", max(one[process] for one in sizes), "MiB", _goal(process))
        if "," not in process:
            figures.note(f"{process}, idle", size, "MiB")
            figures.note(f"{process}, its own alone (USS)", private[process], "MiB")
            figures.note(f"{process}, growth since the first {_CHUNK} jobs", after[process] - sizes[0][process], "MiB")
    return figures.rows()


def _goal(process: str) -> Goal | None:
    return Goal(_GOALS_MIB[process], at_most=True) if process in _GOALS_MIB else None


def _load(plan: Plan, service: Service, material: Material) -> tuple[int, list[dict[str, float]]]:
    requests = [upload_request(path.read_bytes(), "/v1/jobs") for path in material.images]
    line, end = Line(service.redis), time.monotonic() + _MOST_SECONDS
    wanted, done = plan.jobs or _JOBS, 0
    sizes: list[dict[str, float]] = []
    while done < wanted and time.monotonic() < end:
        if line.depth(service.model) >= _CHUNK:
            time.sleep(0.1)
            continue
        send(service.port, requests, min(_CHUNK, wanted - done))
        done += min(_CHUNK, wanted - done)
        if done % (8 * _CHUNK) == 0:
            plan.say(f"memory {material.workload.name}: {done:,} of {wanted:,} jobs submitted")
            service.forget_images()
        sizes.append(proportional_mib(service))
    return done, sizes


def proportional_mib(service: Service, size: Callable[[psutil.Process], float] = pss_mib) -> dict[str, float]:
    """Of each process, and of the worker as a whole too."""
    sizes: dict[str, float] = {}
    for name, process in service.processes.items():
        family = process.family()
        sizes[name] = sum(map(size, family))
        if len(family) > 1:
            sizes[f"{name}, parent"] = size(family[0])
            sizes[f"{name}, child"] = sizes[name] - sizes[f"{name}, parent"]
    return sizes


def _unique_mib(process: psutil.Process) -> float:
    return float(process.memory_full_info().uss) / 2**20
