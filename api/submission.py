"""How an upload becomes a job: stored, then written as a row, once for each idempotency key."""

import re
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from fastapi import Request

from api.lookup import CLIENT_ID, require
from api.services import ServiceSet
from api.uploads import Receiver, Upload
from api.webhooks import require_address
from api.wishes import Wishes, read_wishes
from shared import jobqueries, netguard
from shared.errors import KeyReused, MalformedRequest, StoreUnavailable, UnknownModel
from shared.hooks import ENDS, Event
from shared.jobs import ApiKey, Job, JobStatus, NewJob

_GIVEN = [name for name in Job.__dataclass_fields__ if hasattr(NewJob, name)]
_KEY = re.compile(r"[\x20-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Accepted:
    """The job of a submission: just made, or made before by the same submission."""

    job: Job
    replayed: bool


async def submit(
    request: Request, services: ServiceSet, caller: ApiKey, *, strict: bool, client_id: str | None = None
) -> Accepted:
    """Stores the request's image and queues a job for it; durable when this returns.

    Args:
        strict: refuse fields that this service does not know, rather than ignore what they ask for.
        client_id: the caller's own name for the job.

    Raises:
        QueueFull, QuotaExceeded: nothing was accepted.
        KeyReused: an earlier submission under this key or id asked for something else.
        StoreUnavailable: the commit is unclear; a replay under the same key or id clears it.
    """
    received_at = datetime.now(UTC)
    if client_id is not None and not CLIENT_ID.fullmatch(client_id):
        raise MalformedRequest("An id has 1 to 100 letters, digits, dots, dashes, tildes or underscores.")
    key = idempotency_key(request)
    async with services.backlog.room():
        named = client_id is not None or key is not None
        async with Receiver(request, services.images, services.settings, named=named) as receiver:
            upload = await receiver.receive(lambda fields: wishes_for(services, fields, strict=strict))
        new = _new_job(services, upload, caller, received_at, client_id, key)
        request.state.job = new.id
        async with services.one_at_a_time(caller.id, client_id, key) if new.fingerprint else nullcontext():
            job = await _once(services, receiver, caller, new)
        request.state.job = job.id
        return Accepted(job, replayed=job.id != new.id)


async def _once(services: ServiceSet, receiver: Receiver, caller: ApiKey, new: NewJob) -> Job:
    """The job that this submission makes, or that an earlier one under the same name made."""
    async with receiver.unless_refused():
        if (earlier := await _earlier(services, new)) is None:
            if new.webhook_url:
                await require_address(services, new.webhook_url, caller.id)
            await services.allowance.charge(caller, 1)
    if earlier is None:
        # whatever happens now, the image stays: a commit may be unclear, and an image without a row is swept
        if await services.intake.submit(new) or new.fingerprint is None:
            services.accepted.labels(new.model).inc()
            return _fresh(new)
        earlier = await _earlier(services, new)
    if earlier is None:  # its key was freed between the two questions
        raise StoreUnavailable
    if earlier.id != new.id:
        await receiver.forget()
    require(earlier, caller)
    if earlier.fingerprint != new.fingerprint:
        raise KeyReused
    return earlier


def wishes_for(services: ServiceSet, fields: dict[str, str], *, strict: bool = True, several: bool = False) -> Wishes:
    """The wishes in these fields, as this deployment can fulfil them; `several`: for a batch.

    Raises:
        MalformedRequest, UnknownModel, WebhookRefused
    """
    wishes = read_wishes(fields, strict=strict)
    if wishes.model not in (None, services.model):
        raise UnknownModel(f"No model named {wishes.model!r} is served here; {services.model} is.")
    if Event.BATCH_COMPLETED in (wishes.webhook_events or ()) and not several:
        raise MalformedRequest("webhook_events: batch.completed is told of batches, and this is a single image")
    if wishes.webhook_url is not None:
        netguard.parse(wishes.webhook_url, services.networks)
    return wishes


def idempotency_key(request: Request) -> str | None:
    """The key in the request's header, with or without quotes (draft-ietf-httpapi-idempotency-key-header).

    Raises:
        MalformedRequest: it is empty, too long, or not of printable ASCII.
    """
    given = request.headers.get("idempotency-key")
    if given is None:
        return None
    key = given.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not _KEY.fullmatch(key):
        raise MalformedRequest("An Idempotency-Key has 1 to 255 printable ASCII characters.")
    return key


def _new_job(
    services: ServiceSet, upload: Upload, caller: ApiKey, received_at: datetime, client_id: str | None, key: str | None
) -> NewJob:
    (file,), wishes = upload.stored, upload.wishes
    return NewJob(
        id=file.job_id,
        model=services.model,
        caller=caller.id,
        priority=wishes.priority,
        filename=file.filename,
        received_at=received_at,
        queued_at=datetime.now(UTC),
        keep=wishes.kept(services.settings.keep),
        deadline_seconds=wishes.deadline_seconds,
        metadata=wishes.metadata,
        client_id=client_id,
        idempotency_key=key,
        fingerprint=wishes.fingerprint(upload.sha256, client_id) if upload.sha256 else None,
        webhook_url=wishes.webhook_url,
        webhook_events=wishes.told(ENDS),
    )


async def _earlier(services: ServiceSet, new: NewJob) -> Job | None:
    if new.fingerprint is None:
        return None

    def look(connection: sa.Connection) -> Job | None:
        return jobqueries.first_with(
            connection, new.caller, client_id=new.client_id, idempotency_key=new.idempotency_key
        )

    return await services.read(look)


def _fresh(new: NewJob) -> Job:
    return Job(
        **{name: getattr(new, name) for name in _GIVEN},
        status=JobStatus.QUEUED,
        run=1,
        attempt=0,
        lost_count=0,
        version=1,
        claimed_at=None,
        finished_at=None,
        erased_at=None,
        result=None,
        error_code=None,
        error_detail=None,
    )
