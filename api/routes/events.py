"""A job's changes as they happen, by server-sent events."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.types import Receive, Scope, Send

from api import tickets
from api.lookup import find
from api.refusals import OF_A_JOB, refusals
from api.routes.jobs import JobId
from api.schemas import EVENTS
from api.services import Caller, Services, ServiceSet
from shared.jobs import Job

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

HEARTBEAT_SECONDS = 15.0  # proxies and phones' networks close what is silent for longer, from 30 s on
LIFETIME_SECONDS = 600.0  # whoever still listens then asks again, with a key that is looked at again
_RECONNECT_MS = 1000
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nginx would keep events back


class EventStream(StreamingResponse):
    """Server-sent events; their source is closed with the connection, however that ends."""

    media_type = "text/event-stream"

    def __init__(self, source: AsyncGenerator[bytes], headers: dict[str, str]) -> None:
        super().__init__(source, headers=headers)
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until the source or the client ends."""
        async with aclosing(self._source):
            await super().__call__(scope, receive, send)


@router.get(
    "/{job_id}/events",
    status_code=200,
    response_class=Response,
    operation_id="watch_job",
    summary="Watch a job",
    responses=EVENTS | refusals(*OF_A_JOB),
)
async def events(
    job_id: JobId,
    request: Request,
    services: Services,
    caller: Caller,
    last_event_id: Annotated[str | None, Header(description="the `id` of the last event seen")] = None,
) -> Response:
    """Tells a job's changes as they happen: its ticket as it stands, then anew with each change, until its end.

    - `ticket`: the ticket as `GET /v1/jobs/{job_id}` gives it; the event's `id` is its version.
    - `erased`: the job was erased meanwhile; the stream ends.
    - `reconnect`: the stream has lasted ten minutes, or the service restarts; ask again after `retry` milliseconds.

    A comment every 15 seconds keeps the connection open. Browsers' `EventSource` reconnects by itself, and stops when
    it is answered 204: the end was seen.
    """
    job = await find(services, caller, job_id)
    request.state.job = job.id
    if job.terminal and last_event_id == str(job.version):
        return Response(status_code=204, headers=_HEADERS)
    return EventStream(_events_of(services, job), _HEADERS)


async def _events_of(services: ServiceSet, first: Job) -> AsyncGenerator[bytes]:
    clock = asyncio.get_running_loop().time
    end = clock() + LIFETIME_SECONDS
    told = 0  # the version last sent
    with services.waiting.watching(first) as watch:
        while True:
            job = watch.job
            if job is None or job.erased_at:
                yield _event("erased", "{}")
                return
            if job.version > told:
                told = job.version
                view = await tickets.ticket(services, job)
                yield _event("ticket", view.model_dump_json(), id=str(told))
                continue  # it may have moved while the client was slow to read
            if job.terminal:
                return
            if services.waiting.stopping or (left := end - clock()) <= 0:
                yield _event("reconnect", "{}", retry=_RECONNECT_MS)
                return
            if not await watch.news(min(HEARTBEAT_SECONDS, left)) and left > HEARTBEAT_SECONDS:
                yield KEEPALIVE_COMMENT


def _event(name: str, data: str, **fields: Any) -> bytes:
    # with no data at all, browsers drop an event
    return format_sse_event(event=name, data_str=data, **fields)
