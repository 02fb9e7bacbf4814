"""How long one submission takes until its result is there, over decoding and inferring it, nothing else running."""

import statistics

from bench import cores
from bench.cache import Material
from bench.database import database_of
from bench.figures import Figure, Figures, Goal
from bench.fsync import path_seconds
from bench.generator import send, upload_request
from bench.plan import Plan
from bench.raw import Raw
from bench.service import Service

_GOAL_MS = 6.0
_ROUND_SECONDS = 3.0
_MOST = 60  # submissions in a round
_WARM_UP = 5


def measure(plan: Plan) -> list[Figure]:
    """Small pictures, unless said otherwise."""
    usual = plan.workloads("cnn")
    return [row for workload in usual for row in _workload(plan, plan.cache.material(workload))]


def _workload(plan: Plan, material: Material) -> list[Figure]:
    name = material.workload.name
    images = [path.read_bytes() for path in material.images]
    requests = [upload_request(image, "/v1/jobs", "Prefer: wait=60") for image in images]
    with (
        database_of(plan.database, cores.MEASURED) as url,
        Service(material, database_url=url) as service,
        Raw(material, service) as raw,
    ):
        where = f"the whole service and the raw loop: core {cores.named(cores.MEASURED)}; {raw.engine}"
        figures = Figures("latency", name, where)
        service.start("redis", "courier", "worker", "api", on=cores.MEASURED).wait_warm()
        _submit(service, requests, _WARM_UP)
        total = plan.jobs or max(4, min(_MOST, int(_ROUND_SECONDS / raw.facts["image_seconds"])))
        for say in plan.each_round(f"latency {name}"):
            say(f"{total} submissions, one after the other")
            alone = raw.run(total // 2, 1).batches
            before = _cpu_seconds(service)
            whole_ms = statistics.median(_submit(service, requests, total)) * 1000
            after = _cpu_seconds(service)
            alone_ms = statistics.median(alone + raw.run(total - total // 2, 1).batches) * 1000
            fsyncs_ms = path_seconds(service.folder, images[0]) * 1000
            figures.note("submit until result", whole_ms, "ms")
            figures.note("decode and infer alone", alone_ms, "ms")
            figures.note("fsyncs on the way", fsyncs_ms, "ms")
            figures.note("Turno's own share", whole_ms - alone_ms - fsyncs_ms, "ms", Goal(_GOAL_MS, at_most=True))
            for process, used in after.items():
                figures.note(f"CPU of {process}", (used - before[process]) / total * 1000, "ms/job")
            service.forget_images()
    return figures.rows()


def _submit(service: Service, requests: list[bytes], total: int) -> list[float]:
    answers = send(service.port, requests, total, connections=1)
    if not all(b'"succeeded"' in body for body in answers.bodies):
        raise RuntimeError("a job did not succeed while its submission waited for it")
    return answers.latencies_seconds


def _cpu_seconds(service: Service) -> dict[str, float]:
    return {name: process.cpu_seconds() for name, process in service.processes.items()}
