"""What is recorded with a job that ended as failed."""

from shared.errors.root import TurnoError


class JobError(TurnoError):
    """The job failed."""

    code = "job-failed"


class WorkerLost(JobError):
    """Every worker that took this image died with it in hand; the image was given up."""

    code = "worker-lost"


class ModelGone(JobError):
    """The model that this job was meant for is no longer served."""

    code = "model-gone"


class DeadlineExceeded(JobError):
    """No worker could take the image within the deadline that came with it."""

    code = "deadline-exceeded"


class ImageMissing(JobError):
    """The stored image is gone; upload it again."""

    code = "image-missing"


class ModelFault(JobError):
    """The model gave no usable output for this image."""

    code = "model-fault"
