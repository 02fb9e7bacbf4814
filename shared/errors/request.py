"""The caller's errors: final, the sentence says what to change."""

from shared.errors.root import TurnoError


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


class UnknownWebhook(RequestError):
    """No webhook has this id."""

    code = "unknown-webhook"


class UnknownDelivery(RequestError):
    """No delivery has this id."""

    code = "unknown-delivery"


class WebhookRefused(RequestError):
    """Webhooks are not sent to this address."""

    code = "webhook-refused"


class JobErased(RequestError):
    """This job's image and result have been erased."""

    code = "job-erased"


class BatchErased(RequestError):
    """This batch and its jobs have been erased."""

    code = "batch-erased"


class MoveRefused(RequestError):
    """The present state does not allow this."""

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
