"""Is it alive, is it ready, what does it measure, what does it serve?"""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError

from api.answers import Described, ModelList
from api.schemas import ALIVE, METRICS, MODELS, READY
from api.services import Services, ServiceSet
from api.threads import in_thread
from shared.errors import CapacityError
from shared.logs import get_logger

router = APIRouter(tags=["operation"])
log = get_logger(__name__)

_PROBE_SECONDS = 4.0  # those who ask give up after five or six


@router.get("/livez", operation_id="livez", summary="Is it alive?", responses=ALIVE)
@router.head("/livez", include_in_schema=False)
async def livez() -> dict[str, bool]:
    """200 while this process serves requests at all."""
    return {"alive": True}


@router.get("/health", operation_id="health", summary="Is it ready? With a key", responses=READY)
@router.get("/readyz", operation_id="readyz", summary="Is it ready?", responses=READY)
@router.head("/readyz", include_in_schema=False)
async def readyz(response: Response, services: Services) -> dict[str, Any]:
    """200 once a worker has the model warm, and line, database and image store answer; else 503."""
    checks = dict(await asyncio.gather(*(_look(name, check) for name, check in _checks(services).items())))
    ready = all(state == "ok" for state in checks.values())
    response.status_code = 200 if ready else 503
    return {"ready": ready, "model": services.model, "checks": checks}


@router.get("/metrics", response_class=Response, operation_id="metrics", summary="Measure", responses=METRICS)
async def metrics(services: Services) -> Response:
    """Prometheus text."""
    return Response(await in_thread(generate_latest, services.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/v1/models", operation_id="list_models", summary="List models", responses=MODELS)
async def models(services: Services) -> Annotated[dict[str, Any], Described(ModelList)]:
    """The card of each served model, as its warm workers tell it."""
    try:
        notes = await in_thread(services.presence.warm, services.model)
    except RedisError:
        notes = []
    if not notes:
        return {"models": [{"name": services.model, "ready": False}]}
    note = notes[0]
    serving = {"engine": note.receipt["engine"], "precision": note.receipt["precision"], "workers": len(notes)}
    return {"models": [{**note.card, "name": services.model, "ready": True, **serving}]}


def _checks(services: ServiceSet) -> dict[str, tuple[Callable[[], object], str]]:
    """What has to work, and what is said when it does not."""

    def some_worker() -> None:
        if not services.presence.warm(services.model):
            raise RedisError("no worker is warm")

    return {
        "line": (lambda: services.line.depth(services.model), "Redis does not answer"),
        "database": (services.database.ping, "the database does not answer"),
        "images": (services.images.ping, "the image store is full, or does not answer"),
        "worker": (some_worker, "no worker has its model warm yet"),
    }


async def _look(name: str, check: tuple[Callable[[], object], str]) -> tuple[str, str]:
    work, trouble = check
    try:
        await in_thread(work, most_seconds=_PROBE_SECONDS)
    except (RedisError, SQLAlchemyError, CapacityError, OSError) as error:
        log.debug("not ready", trouble=trouble, error=str(error).splitlines()[0])
        return name, trouble
    return name, "ok"
