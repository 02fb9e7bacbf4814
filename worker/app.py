"""The worker, put together: `celery -A worker.app worker`.

The Celery parent opens no database and imports no model runtime. Each child, after the fork, loads its
model, takes back what its dead siblings had in hand, and then takes work.
"""

import os
import secrets
import socket
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging, worker_process_init, worker_process_shutdown
from kombu import Queue
from redis import RedisError

from shared.broker import SESSION_TASK, Bell, connect_redis, make_celery, queue_of
from shared.errors import OperatorError
from shared.jobs import Claim, Outcome
from shared.limits import usable_cpus
from shared.line import Line
from shared.logs import configure_logging, get_logger
from shared.models import served_model_name
from shared.settings import Settings, load_settings

if TYPE_CHECKING:
    from worker.session import Sessions

log = get_logger(__name__)

_RESPAWN_PAUSE_SECONDS = 2.0  # a child that cannot start must not be forked hundreds of times a second
_LOAD_SECONDS = 180  # Celery kills a child that is not up by then; its default of 4 kills every TensorFlow


def create_worker(settings: Settings) -> Celery:
    """The Celery application of a worker for the served model."""
    # it warns a root worker of pickled messages; ours takes JSON alone
    warnings.simplefilter("ignore", SecurityWarning)
    model = served_model_name(settings)
    boot = f"{socket.gethostname()[:60]}/{secrets.token_hex(4)}/"  # one Celery parent; its children add their pid
    app = make_celery(
        settings,
        task_queues=[Queue(queue_of(model))],
        task_default_queue=queue_of(model),
        worker_pool="prefork",
        worker_concurrency=settings.worker_concurrency,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_proc_alive_timeout=_LOAD_SECONDS,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        # above what a batch, its session and a pause after a fault may take: only a hung child is killed
        task_time_limit=settings.batch_timeout_seconds + 60,
        broker_connection_max_retries=None,
        broker_transport_options={"health_check_interval": 2, "socket_connect_timeout": 2, "socket_keepalive": True},
    )
    child: dict[str, Sessions] = {}

    @app.task(name=SESSION_TASK)
    def session(name: str) -> None:
        child["sessions"].run(name)

    def start_child(**_: Any) -> None:
        try:
            child["sessions"] = _start_child(settings, boot)
        except OperatorError as error:
            _give_up(str(error))
        except Exception as error:
            log.error("the model could not be loaded", exc_info=error)
            _give_up("the child ends and is started again")

    def start_logging(**_: Any) -> None:
        configure_logging(settings.log_level)
        children, threads = settings.worker_concurrency, settings.worker_threads
        log.info("worker starts", model=model, cpus=usable_cpus(), children=children, threads_each=threads)

    setup_logging.connect(start_logging, weak=False)
    worker_process_init.connect(start_child, weak=False)
    return app


def _start_child(settings: Settings, boot: str) -> "Sessions":
    # imported after the fork: they bring in numpy, OpenVINO and SQL
    from shared.changes import announce
    from shared.database import Database
    from shared.images import open_images
    from shared.metrics import codes_of, count_finished
    from worker.pulse import Pulse
    from worker.recovery import recover_siblings, report_lost
    from worker.registry import load_served_model
    from worker.runner import Runner
    from worker.session import Sessions

    redis = connect_redis(settings.redis_url)
    database = Database(settings.sql_url)
    model = load_served_model(settings)
    report_lost(redis, recover_siblings(database, boot, os.getpid()))
    pulse = Pulse(settings, database, redis, model, owner=f"{boot}{os.getpid()}")
    worker_process_shutdown.connect(lambda **_: pulse.leave(), weak=False)

    def tell_claims(claims: Sequence[Claim]) -> None:
        with suppress(RedisError):  # who waits reads SQL
            announce(redis, [claim.id for claim in claims], started=True)

    def tell_outcomes(outcomes: Sequence[Outcome]) -> None:
        try:
            announce(redis, [outcome.claim.id for outcome in outcomes])
            count_finished(redis, codes_of(outcomes))
        except RedisError as error:  # who waits reads SQL
            log.warning("ended jobs could not be announced", error=str(error))

    runner = Runner(settings, database, open_images(settings), model, pulse, tell_claims)
    runner.warm_up()
    pulse.start()
    return Sessions(settings, runner, Line(redis), Bell(make_celery(settings), redis), pulse, tell_outcomes)


def _give_up(reason: str) -> NoReturn:
    log.error("worker child cannot start", reason=reason)
    sys.stdout.flush()
    time.sleep(_RESPAWN_PAUSE_SECONDS)
    os._exit(1)  # Celery swallows exceptions of this signal, and the child would take work without a model


def __getattr__(name: str) -> Celery:
    """Makes `app` when Celery asks for it: importing this module does nothing."""
    if name != "app":
        raise AttributeError(name)
    globals()["app"] = app = create_worker(load_settings())
    return app
