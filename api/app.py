"""The API, put together: `uvicorn --factory api.app:create_app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from api import openapi, problems
from api.allowance import Allowance
from api.backlog import Backlog
from api.guard import Guard
from api.intake import Intake
from api.keyring import LiveKeys
from api.routes import batches, deliveries, events, jobs, listing, page, predict, probes, submissions, webhooks
from api.services import ServiceSet
from api.waiting import Waiting
from shared.broker import Bell, connect_redis, make_celery
from shared.database import Database
from shared.images import open_images
from shared.keys import required_keys
from shared.line import Line
from shared.logs import configure_logging
from shared.lookups import Lookups
from shared.metrics import ServiceCollector
from shared.models import served_model_name
from shared.netguard import parse_networks
from shared.presence import Presence
from shared.settings import Settings, load_settings

_LOOKUP_SECONDS = 5.0  # for the name in a webhook's address, while whoever gave it waits


def create_app(settings: Settings | None = None) -> FastAPI:
    """The ASGI application; opens nothing before its lifespan begins.

    Raises:
        OperatorError: the settings cannot be served as they are.
    """
    settings = settings or load_settings()
    configure_logging(settings.log_level)
    required_keys(settings)
    services = _put_together(settings)
    keys = LiveKeys(settings, services.database)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services.images.prepare()
        await keys.start()
        services.intake.start()
        services.waiting.start()
        yield
        await services.waiting.stop()
        await keys.stop()
        services.intake.stop()
        services.database.close()

    app = FastAPI(
        title="Turno",
        version="0.1.0",
        lifespan=lifespan,
        redoc_url=None,
    )
    app.state.services = services
    problems.install(app)
    for module in (submissions, jobs, listing, events, batches, webhooks, deliveries, predict, probes, page):
        app.router.routes += module.router.routes  # `include_router` would match each request twice
    page.mount_static(app)
    openapi.install(app)
    seconds = Histogram(
        "turno_http_request_seconds",
        "Time to answer, waits included.",
        ["method", "route", "status"],
        registry=services.registry,
        buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
    )
    app.add_middleware(Guard, settings=settings, keys=keys, allowance=services.allowance, seconds=seconds)
    return app


def _put_together(settings: Settings) -> ServiceSet:
    redis = connect_redis(settings.redis_url)
    database, line, presence = Database(settings.sql_url), Line(redis), Presence(redis)
    model, networks = served_model_name(settings), parse_networks(settings.webhook_allow_networks)
    registry = CollectorRegistry()
    registry.register(ServiceCollector(redis, line, presence, model))
    intake, waiting = Intake(database, line, Bell(make_celery(settings), redis)), Waiting(database, settings.redis_url)
    watchers = Gauge("turno_watchers", "Open waits and event streams of this process.", registry=registry)
    watchers.set_function(waiting.count)
    return ServiceSet(
        settings=settings,
        database=database,
        images=open_images(settings),
        line=line,
        presence=presence,
        intake=intake,
        backlog=Backlog(settings, database, line, presence, intake, model),
        waiting=waiting,
        allowance=Allowance(settings),
        registry=registry,
        accepted=Counter("turno_jobs_accepted", "Jobs accepted by this process.", ["model"], registry=registry),
        model=model,
        networks=networks,
        lookups=Lookups(networks, _LOOKUP_SECONDS),
    )
