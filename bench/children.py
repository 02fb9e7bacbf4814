"""What a second worker child brings on two cores, while everything else shares them."""

from bench import cores
from bench.database import database_of
from bench.drain import Drained, drain, fill
from bench.figures import Figure, Figures
from bench.plan import Plan
from bench.raw import Raw
from bench.service import Service

_ROUND_SECONDS = 5.0


def measure(plan: Plan) -> list[Figure]:
    """The small model, unless said otherwise."""
    rows = []
    for workload in plan.workloads("cnn"):
        material = plan.cache.material(workload)
        figures = Figures("children", workload.name, f"everything: cores {cores.named(cores.CORES)}")
        with database_of(plan.database, cores.CORES) as url, Service(material, database_url=url) as service:
            service.start("redis", "courier", on=cores.CORES)
            with Raw(material, service) as raw:
                fitting = int(_ROUND_SECONDS / raw.facts["image_seconds"])
            total = plan.jobs or max(workload.jobs_least, min(workload.jobs_most, fitting))
            for say in plan.each_round(f"children {workload.name}"):
                rates = {}
                for children in (1, 2):
                    say(f"{total} jobs for {children}")
                    fill(service, material, total)
                    rates[children] = _rate(_drained(service, children))
                    figures.note(f"WORKER_CONCURRENCY={children}", rates[children], "jobs/s")
                figures.note("two over one", rates[2] / rates[1])
                service.forget_images()
        rows += figures.rows()
    return rows


def _drained(service: Service, children: int) -> Drained:
    service.tell(WORKER_CONCURRENCY=str(children))
    return drain(service, cores.CORES)


def _rate(drained: Drained) -> float:
    return drained.total / drained.seconds
