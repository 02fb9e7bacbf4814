"""Erasing a job: its row, its image, its place in the line."""

from api.services import ServiceSet
from shared import jobstore
from shared.jobs import Job, JobStatus
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
        services.line.leave([job.queued()])
