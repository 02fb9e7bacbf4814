"""A batch: many images sent in one request, accepted together, looked at as one."""

from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import uuid_utils
from fastapi import Request
from pydantic import BaseModel, Field

from api.lookup import require_batch
from api.places import NOWHERE, places
from api.services import ServiceSet
from api.submission import idempotency_key, wishes_for
from api.uploads import Receiver, Upload
from api.webhooks import require_address
from shared import batchstore
from shared.errors import BatchRefused, KeyReused, StoreUnavailable
from shared.hooks import Event
from shared.jobs import ApiKey, Batch, JobStatus, NewJob

_STATUSES: list[Any] = [*JobStatus, batchstore.ERASED]


class RefusedFile(BaseModel):
    """A file that was not accepted, and why."""

    index: int = Field(description="its place among the files as they were sent, from 0")
    filename: str | None
    code: str = Field(description="stable; docs/errors.md lists them")
    detail: str


class BatchJob(BaseModel):
    """A file that became a job."""

    id: str
    index: int
    filename: str | None
    status: str = Field(description="as of a job, or erased", json_schema_extra={"enum": _STATUSES})


class Counts(BaseModel):
    """How many files of a batch stand where."""

    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    canceled: int = 0
    erased: int = 0
    refused: int = 0


class BatchUrls(BaseModel):
    """Where the batch's other routes are."""

    self: str
    jobs: str
    results: str
    csv: str
    cancel: str


class BatchView(BaseModel):
    """A batch as its caller sees it."""

    id: str
    received_at: datetime
    total: int = Field(description="files sent")
    counts: Counts
    done: bool = Field(description="whether every job has ended")
    eta_seconds: float | None = Field(description="estimated time until its last job's end; null when not known")
    jobs: list[BatchJob]
    refused: list[RefusedFile]
    urls: BatchUrls

    def retry_after(self) -> dict[str, str]:
        """The header that says when to ask again; none once it is done."""
        return {} if self.done else {"Retry-After": str(max(1, min(30, round((self.eta_seconds or 2) / 2))))}


async def submit_batch(request: Request, services: ServiceSet, caller: ApiKey) -> tuple[Batch, bool]:
    """Stores the request's images and queues a job for each good one, all durable when this returns.

    Returns:
        The batch, and whether an earlier request had made it.

    Raises:
        BatchRefused: no file was any good.
        QueueFull, QuotaExceeded: nothing was accepted.
        KeyReused: an earlier batch under this key was another.
        StoreUnavailable: the commit is unclear; a replay under the same key clears it.
    """
    received_at, key = datetime.now(UTC), idempotency_key(request)
    most = services.settings.batch_files_max
    async with services.backlog.room():
        receiving = Receiver(request, services.images, services.settings, named=key is not None, most_files=most)
        async with receiving as receiver:
            upload = await receiver.receive(lambda fields: wishes_for(services, fields, several=True))
        batch, arrivals = _rows(services, upload, caller, received_at, key)
        request.state.job = batch.id
        async with services.one_at_a_time("batch", caller.id, key) if key else nullcontext():
            found = await _once(services, receiver, caller, batch, arrivals)
        return found, found.id != batch.id


async def _once(
    services: ServiceSet, receiver: Receiver, caller: ApiKey, batch: Batch, arrivals: list[NewJob]
) -> Batch:
    """The batch that this request makes, or that an earlier one under the same key made."""
    async with receiver.unless_refused():
        if (earlier := await _earlier(services, batch)) is None:
            if not arrivals:
                raise BatchRefused(refused=[asdict(one) for one in batch.refused])
            if arrivals[0].webhook_url:
                await require_address(services, arrivals[0].webhook_url, caller.id)
            await services.backlog.require_room(len(arrivals), held=1)
            await services.allowance.charge(caller, len(arrivals))
    if earlier is None:
        # whatever happens now, the images stay: a commit may be unclear, and what has no row is swept
        if await services.write(lambda connection: batchstore.add(connection, batch, arrivals)):
            services.intake.hurry(arrivals)
            services.accepted.labels(services.model).inc(len(arrivals))
            return batch
        earlier = await _earlier(services, batch)
    if earlier is None:
        raise StoreUnavailable
    if earlier.id != batch.id:
        await receiver.forget()
    require_batch(earlier, caller)
    if earlier.fingerprint != batch.fingerprint:
        raise KeyReused
    return earlier


async def view(services: ServiceSet, batch: Batch) -> BatchView:
    """The caller's view of a batch."""
    files = await services.read(lambda connection: batchstore.files(connection, batch.id))
    counts = Counts(refused=len(batch.refused))
    for file in files:
        setattr(counts, file.status, getattr(counts, file.status) + 1)
    waiting = [file.id for file in files if file.status == JobStatus.QUEUED]
    _, eta_seconds = (
        (await places(services, services.model, waiting[-1:])).get(waiting[-1], NOWHERE) if waiting else NOWHERE
    )
    here = f"/v1/batches/{batch.id}"
    return BatchView(
        id=batch.id,
        received_at=batch.received_at,
        total=batch.total,
        counts=counts,
        done=counts.queued + counts.running == 0,
        eta_seconds=eta_seconds,
        jobs=[BatchJob.model_validate(file, from_attributes=True) for file in files],
        refused=[RefusedFile.model_validate(one, from_attributes=True) for one in batch.refused],
        urls=BatchUrls(
            self=here,
            jobs=f"/v1/jobs?batch={batch.id}",
            results=f"{here}/results",
            csv=f"{here}/results.csv",
            cancel=f"{here}/cancel",
        ),
    )


def _rows(
    services: ServiceSet, upload: Upload, caller: ApiKey, received_at: datetime, key: str | None
) -> tuple[Batch, list[NewJob]]:
    wishes, queued_at = upload.wishes, datetime.now(UTC)
    batch = Batch(
        id=uuid_utils.uuid7().hex,
        caller=caller.id,
        received_at=received_at,
        total=len(upload.stored) + len(upload.refused),
        refused=upload.refused,
        idempotency_key=key,
        fingerprint=wishes.fingerprint(upload.sha256) if upload.sha256 else None,
    )
    common: dict[str, Any] = wishes.model_dump(include={"priority", "deadline_seconds", "metadata", "webhook_url"})
    return batch, [
        NewJob(
            id=file.job_id,
            model=services.model,
            keep=wishes.kept(services.settings.keep),
            caller=caller.id,
            filename=file.filename,
            received_at=received_at,
            queued_at=queued_at,
            batch_id=batch.id,
            batch_index=file.index,
            webhook_events=wishes.told([Event.BATCH_COMPLETED]),
            **common,
        )
        for file in upload.stored
    ]


async def _earlier(services: ServiceSet, batch: Batch) -> Batch | None:
    if (key := batch.idempotency_key) is None:
        return None
    return await services.read(lambda connection: batchstore.first_with(connection, batch.caller, key))
