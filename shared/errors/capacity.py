"""Nobody's errors: come back later."""

from shared.errors.root import TurnoError


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


class NamesUnavailable(CapacityError):
    """The webhook's host name cannot be looked up at the moment; nothing was accepted."""

    code = "names-unavailable"
