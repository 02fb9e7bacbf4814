"""What people build first, on the same core, with the same model and the same pictures."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

from redis import Redis

from bench import cores
from bench.cache import Material
from bench.drain import drain, fill
from bench.figures import Figure, Figures
from bench.generator import send, upload_request
from bench.memory import proportional_mib
from bench.plan import Plan
from bench.processes import Process, plain_environment
from bench.raw import Raw
from bench.server import Server
from bench.service import Service
from shared.broker import connect_redis
from tests.waiting import wait_for
from turno.embedded_redis import find_redis_server, redis_command, redis_url, socket_path

_ROUND_SECONDS = 4.0
_CONNECTIONS = 4
_TASKS_SECONDS = 120.0
_MOST = 40  # of the peers' images in a round
_QUIET = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
_RESULTS = "celery-task-meta-*"


class Typical:
    """The Celery peer: a Redis, an API and a worker."""

    def __init__(self, redis: Redis, server: Server, worker: Process, requests: list[bytes]) -> None:
        self._redis = redis
        self._server = server
        self._worker = worker
        self._requests = requests

    def per_second(self, total: int) -> float:
        """Tasks in a second, from the end of the first to the end of the last."""
        self._redis.delete(*(self._redis.keys(_RESULTS) or ["none"]))
        send(self._server.port, self._requests, total)
        wait_for(lambda: len(self._redis.keys(_RESULTS)) == total, f"{total} tasks to end", _TASKS_SECONDS)
        results = [json.loads(self._redis.get(key) or "") for key in self._redis.keys(_RESULTS)]
        if any(result["status"] != "SUCCESS" for result in results):
            raise RuntimeError(f"a task of the Celery peer failed: {self._worker.last_words()}")
        ends = sorted(datetime.fromisoformat(result["date_done"]) for result in results)
        return (total - 1) / (ends[-1] - ends[0]).total_seconds()

    def mib(self) -> float:
        """PSS of its API and its worker."""
        return self._server.process.pss_mib() + self._worker.pss_mib()


def measure(plan: Plan) -> list[Figure]:
    """Models of 180 × 180 alone: the peers, as tutorials do, have that in their code."""
    usual = [one for one in plan.workloads("cnn") if (one.model.width_px, one.model.height_px) == (180, 180)]
    return [row for workload in usual for row in _workload(plan, plan.cache.material(workload))]


def _workload(plan: Plan, material: Material) -> list[Figure]:
    workload = material.workload
    where = f"naive server, Celery worker, Turno's worker: core {cores.named(cores.MEASURED)}; all else: the other"
    figures = Figures("peers", workload.name, where)
    images = [path.read_bytes() for path in material.images]
    model = {"PEER_MODEL": str(material.model / "model.keras"), **_QUIET}
    plan.say(f"peers {workload.name}: starting them")
    requests = [upload_request(image, "/predict") for image in images]
    with ExitStack() as opened, Service(material) as service:
        # memory is looked at while no other peer runs: they would share TensorFlow's pages
        naive = opened.enter_context(Server("bench.peers.naive:app", cores.MEASURED, **model))
        send(naive.port, requests, 2, 1)  # the first ones trace
        figures.note("naive server, memory (PSS)", naive.process.pss_mib(), "MiB")
        typical_stays = ExitStack()
        typical = opened.enter_context(typical_stays).enter_context(_typical(requests, model))
        typical.per_second(2)
        service.start("redis", "courier")
        with Raw(material, service) as raw:
            total = plan.jobs or max(workload.jobs_least, int(_ROUND_SECONDS / raw.facts["image_seconds"]))
        few = min(_MOST, total)
        for say in plan.each_round(f"peers {workload.name}"):
            say("naive server")
            naive_rate = send(naive.port, requests, few, _CONNECTIONS).per_second
            say("one Celery task for each image")
            typical_rate = typical.per_second(few)
            say("Turno")
            fill(service, material, total)
            drained = drain(service)
            service.forget_images()
            _note(figures, drained.total / drained.seconds, naive_rate, typical_rate)
        naive.process.stop()
        figures.note("one task each, memory of API and worker", typical.mib(), "MiB")
        typical_stays.close()
        service.start("api", "worker").wait_warm()
        figures.note("Turno, memory of API, worker, courier", sum(_of_ours(service)), "MiB")
    return figures.rows()


def _note(figures: Figures, rate: float, naive_rate: float, typical_rate: float) -> None:
    figures.note("naive server: model.predict in the request", naive_rate, "requests/s")
    figures.note("one Celery task each: model.predict", typical_rate, "tasks/s")
    figures.note("Turno", rate, "jobs/s")
    figures.note("Turno over naive server", rate / naive_rate, "×")
    figures.note("Turno over one task each", rate / typical_rate, "×")


def _of_ours(service: Service) -> Iterator[float]:
    sizes = proportional_mib(service)
    return (sizes[name] for name in ("api", "worker", "courier"))


@contextmanager
def _typical(requests: list[bytes], model: dict[str, str]) -> Iterator[Typical]:
    folder = Path(tempfile.mkdtemp(prefix="turno-bench-"))
    environment = {**model, "PEER_REDIS": f"redis+socket://{socket_path(folder)}"}
    started: list[Process] = []
    try:
        server = Process(
            redis_command(find_redis_server(), folder), plain_environment(), folder, folder / "redis", cores.OTHERS
        )
        started.append(server)
        redis = connect_redis(redis_url(folder))
        wait_for(socket_path(folder).exists, "Redis to answer")
        command = ["celery", "-q", "-A", "bench.peers.typical_celery:celery", "worker", "-P", "prefork", "-c", "1"]
        worker = [sys.executable, "-m", *command]
        started.append(Process(worker, plain_environment(**environment), folder, folder / "worker", cores.MEASURED))
        with Server("bench.peers.typical_celery:app", cores.OTHERS, **environment) as api:
            yield Typical(redis, api, started[-1], requests)
    finally:
        for process in reversed(started):
            process.stop()
        shutil.rmtree(folder, ignore_errors=True)
