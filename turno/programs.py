"""The processes of one machine: their command lines, what they find in their environment, their grace."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.settings import Settings
from turno.embedded_redis import find_redis_server, redis_command, redis_url, socket_folder
from turno.supervisor import Program

_API_DRAIN_SECONDS = 10
_WORKER_GRACE_MAX_SECONDS = 30.0  # a batch that needs longer goes back to the line and runs at the next start
# what a small machine wants, unless somebody said otherwise
_DEFAULTS = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "OMP_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True, slots=True)
class Programs:
    """Everything one start runs; `up` gives the order."""

    redis: Program | None  # None: REDIS_URL names a server that is not ours
    redis_folder: Path | None
    migrate: Program
    api: Program
    courier: Program
    prepare: Program
    worker: Program


def make_programs(settings: Settings, inherited: Mapping[str, str], api_key: str | None, *, reload: bool) -> Programs:
    """The processes for these settings.

    Args:
        inherited: the supervisor's own environment, handed on.
        api_key: a key that was made here; None leaves API_KEY as it is set.

    Raises:
        OperatorError: an embedded Redis is needed and there is none.
    """
    environment = {**_DEFAULTS, **inherited, "STATE_DIR": str(settings.state_dir.absolute())}
    if api_key is not None:
        environment["API_KEY"] = api_key
    redis = folder = None
    if not settings.redis_url:
        server, folder = find_redis_server(), socket_folder(settings.state_dir)
        environment["REDIS_URL"] = redis_url(folder)
        redis = Program("redis", redis_command(server, folder), dict(inherited))
    return Programs(
        redis=redis,
        redis_folder=folder,
        migrate=_python("migrate", ("turno", "migrate"), environment),
        api=_python("api", _api(settings, reload=reload), environment, _API_DRAIN_SECONDS + 2),
        courier=_python("courier", ("worker.courier",), environment),
        prepare=_python("prepare", ("turno", "prepare"), environment),
        worker=_python(
            "worker", ("worker",), environment, min(settings.batch_timeout_seconds, _WORKER_GRACE_MAX_SECONDS)
        ),
    )


def _api(settings: Settings, *, reload: bool) -> tuple[str, ...]:
    listen = ("--host", settings.host, "--port", str(settings.port))
    one = ("--workers", "1")  # a platform's WEB_CONCURRENCY would start several, each with its own memory
    quiet = ("--no-access-log", "--no-server-header", "--log-level", settings.log_level.lower())
    drain = ("--timeout-graceful-shutdown", str(_API_DRAIN_SECONDS))
    watch = ("--reload", "--reload-dir", "api", "--reload-dir", "shared") if reload else ()
    prompt = ("--http", "api.connections:PromptHeads")
    return ("uvicorn", "--factory", "api.app:create_app", *listen, *prompt, *one, *quiet, *drain, *watch)


def _python(
    name: str, arguments: tuple[str, ...], environment: Mapping[str, str], grace_seconds: float = 5.0
) -> Program:
    return Program(name, (sys.executable, "-m", *arguments), environment, grace_seconds)
