"""What can go wrong, by name; `api.problems` alone decides which HTTP status each becomes.

The docstring of each class is its title for people.

TurnoError
├── RequestError               the caller's: final, the sentence says what to change
│   ├── MalformedRequest, UnknownRoute, MethodRefused
│   ├── Unauthorized, ScopeMissing, RateExceeded, QuotaExceeded
│   ├── HostRefused            open mode reached by another name than localhost, or through a proxy
│   ├── UnknownModel, UnknownJob, UnknownBatch, JobErased, BatchErased
│   ├── MoveRefused            the job's present state does not allow it
│   ├── KeyReused, BatchRefused
│   ├── UploadTooLarge, UploadTooSlow
│   └── ImageTypeRefused, ImageUndecodable, ImageTooManyPixels
├── CapacityError              nobody's: come back later
│   ├── StorageFull, StoreUnavailable, QueueFull
│   └── PredictTimeout         /predict waited its time; the job goes on
└── JobError                   recorded with a job that ended as failed
    └── WorkerLost, ModelGone, DeadlineExceeded, ImageMissing, ModelFault
OperatorError                  a start refused: one sentence for the person at the terminal
"""


class TurnoError(Exception):
    """Something went wrong here that should not have; the request id finds it in the service's log."""

    code = "internal-error"

    def __init__(self, detail: str | None = None, **members: object) -> None:
        """Takes what is wrong in this case; `members` are further members of the problem document."""
        self.detail = detail or self.title()
        self.members = members
        super().__init__(self.detail)

    @classmethod
    def title(cls) -> str:
        """The fixed sentence for this kind of error."""
        return (cls.__doc__ or cls.__name__).split("\n")[0].strip()


class RequestError(TurnoError):
    """The request cannot be served as it is."""

    code = "bad-request"


class MalformedRequest(RequestError):
    """The request is not in the form this route takes."""

    code = "malformed-request"


class Unauthorized(RequestError):
    """A valid API key is needed: send it as X-API-Key or as Authorization: Bearer."""

    code = "unauthorized"


class HostRefused(RequestError):
    """Without a key this service answers only on its own machine, by the name localhost."""

    code = "host-refused"


class ScopeMissing(RequestError):
    """This key is valid, but may not do this."""

    code = "scope-missing"


class RateExceeded(RequestError):
    """This key has made too many requests within a minute; go on after Retry-After."""

    code = "rate-exceeded"


class QuotaExceeded(RequestError):
    """This key has sent its images for today; go on after Retry-After."""

    code = "quota-exceeded"


class UnknownRoute(RequestError):
    """Nothing is served at this address."""

    code = "unknown-route"


class MethodRefused(RequestError):
    """This address does not take this method."""

    code = "method-refused"


class UnknownModel(RequestError):
    """No model of this name is served here."""

    code = "unknown-model"


class UnknownJob(RequestError):
    """No job has this id."""

    code = "unknown-job"


class UnknownBatch(RequestError):
    """No batch has this id."""

    code = "unknown-batch"


class JobErased(RequestError):
    """This job's image and result have been erased."""

    code = "job-erased"


class BatchErased(RequestError):
    """This batch and its jobs have been erased."""

    code = "batch-erased"


class MoveRefused(RequestError):
    """The job's present state does not allow this."""

    code = "move-refused"


class KeyReused(RequestError):
    """This Idempotency-Key, or this id, was used before for another payload: choose a new one."""

    code = "idempotency-mismatch"


class BatchRefused(RequestError):
    """No file of this batch could be accepted."""

    code = "batch-refused"


class UploadTooSlow(RequestError):
    """The upload came too slowly; try again over a better connection."""

    code = "upload-too-slow"


class UploadTooLarge(RequestError):
    """The upload has more bytes than this service takes."""

    code = "upload-too-large"


class ImageTypeRefused(RequestError):
    """Only PNG and JPEG images are taken."""

    code = "image-type-refused"


class ImageUndecodable(RequestError):
    """The image is damaged or incomplete; upload it again from the original."""

    code = "image-undecodable"


class ImageTooManyPixels(RequestError):
    """The image has more pixels than this service decodes."""

    code = "image-too-many-pixels"


class CapacityError(TurnoError):
    """The service cannot do this now; try again later."""

    code = "temporarily-unavailable"
    retry_after_seconds = 5


class StorageFull(CapacityError):
    """The service has no room left to store images; nothing was accepted."""

    code = "storage-full"


class StoreUnavailable(CapacityError):
    """The service's database or image store does not answer in time: try again later."""

    code = "store-unavailable"


class QueueFull(CapacityError):
    """Too much is waiting already; nothing was accepted."""

    code = "queue-full"

    def __init__(self, detail: str | None = None, retry_after_seconds: int = 60) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class PredictTimeout(CapacityError):
    """The prediction is not finished yet; the job goes on, fetch it at its Location."""

    code = "predict-timeout"


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


class OperatorError(Exception):
    """A start that cannot succeed; the message is one sentence that says what to do."""
