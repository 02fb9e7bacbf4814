"""Finding a caller's job or batch; what is somebody else's is unknown to them."""

import re

import sqlalchemy as sa

from api.services import ServiceSet
from shared import batchstore, jobqueries
from shared.errors import BatchErased, JobErased, UnknownBatch, UnknownJob
from shared.jobs import ApiKey, Batch, Job, Scope

ID = re.compile(r"[0-9a-f]{32}")
CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,99}")


async def find(services: ServiceSet, caller: ApiKey, job_id: str) -> Job:
    """The caller's job with this id, ours or their own.

    Raises:
        UnknownJob, JobErased
    """
    return require(await services.read(lambda connection: _look(connection, caller, job_id)), caller)


def require(job: Job | None, caller: ApiKey) -> Job:
    """The job, if it is the caller's to see.

    Raises:
        UnknownJob, JobErased
    """
    if job is None or not is_for(caller, job.caller):
        raise UnknownJob
    if job.erased_at:
        raise JobErased
    return job


async def find_ended(services: ServiceSet, caller: ApiKey, job_id: str, wait_seconds: float) -> Job:
    """The job once it has ended, or as it stands when the wait is over.

    Raises:
        UnknownJob, JobErased
    """
    job = await find(services, caller, job_id)
    return require(await services.waiting.ended(job, wait_seconds), caller) if wait_seconds else job


async def find_accepted(services: ServiceSet, caller: ApiKey, accepted: Job, wait_seconds: float) -> Job:
    """The same for a job just accepted: a database that fails now does not take its ticket away.

    Raises:
        JobErased
    """
    return require(await services.waiting.ended(accepted, wait_seconds) or accepted, caller)


async def find_batch(services: ServiceSet, caller: ApiKey, batch_id: str) -> Batch:
    """The caller's batch with this id.

    Raises:
        UnknownBatch, BatchErased
    """
    if not ID.fullmatch(batch_id):
        raise UnknownBatch
    return require_batch(await services.read(lambda connection: batchstore.get(connection, batch_id)), caller)


def require_batch(batch: Batch | None, caller: ApiKey) -> Batch:
    """The batch, if it is the caller's to see.

    Raises:
        UnknownBatch, BatchErased
    """
    if batch is None or not is_for(caller, batch.caller):
        raise UnknownBatch
    if batch.erased_at:
        raise BatchErased
    return batch


def _look(connection: sa.Connection, caller: ApiKey, job_id: str) -> Job | None:
    if ID.fullmatch(job_id):
        for job in jobqueries.get(connection, [job_id]):
            if is_for(caller, job.caller):
                return job
    # a caller's own name may look like one of ours, and be another caller's job's
    if CLIENT_ID.fullmatch(job_id):
        return jobqueries.first_with(connection, caller.id, client_id=job_id)
    return None


def is_for(caller: ApiKey, owner: str) -> bool:
    """Whether what is this owner's is the caller's to see."""
    return owner == caller.id or caller.may(Scope.ADMIN)
