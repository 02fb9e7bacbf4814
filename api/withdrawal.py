"""Taking jobs back: out of the line, and out of the store."""

from redis import RedisError

from api.services import ServiceSet
from shared import jobstore
from shared.jobs import Job, JobStatus, Queued
from shared.logs import get_logger

log = get_logger(__name__)


def bury(services: ServiceSet, job: Job) -> None:
    """Erases a job; whatever breaks off here leaves an image that the courier finds by its tombstone."""
    services.database.write(lambda connection: jobstore.erase(connection, [job.id]), durable=True)
    try:
        services.images.delete(job.id)
    except OSError as error:
        log.warning("the image of an erased job is left to the courier", job=job.id, error=str(error))
    else:
        services.database.write(lambda connection: jobstore.forget_images(connection, [job.id]))
    if job.status is JobStatus.QUEUED:
        leave_line(services, [job.queued()])


def leave_line(services: ServiceSet, jobs: list[Queued]) -> None:
    """Takes jobs that are not to run any more out of their line."""
    try:
        services.line.leave(jobs)
    except RedisError:
        return  # whoever takes them finds nothing to claim
