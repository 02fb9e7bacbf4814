"""What can go wrong between a caller and the service; each message says what happened and what to do.

TurnoError
├── Refused       the service, or a proxy in front of it, answered with an error
├── Unreachable   nothing answered, or the connection broke
│   └── NotTurno  what answered is not Turno
├── JobFailed     the job ended without a result
└── TimedOut      the job has not ended in the time given; it goes on
"""

from collections.abc import Mapping
from typing import Any

from turno.client.answers import Job


class TurnoError(Exception):
    """Something went wrong between this client and the service."""


class Refused(TurnoError):
    """The service answered with an error; `code` is stable and stands in docs/errors.md."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        retry_after_seconds: float | None = None,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds
        self.problem = problem or {}  # the whole document (RFC 9457)
        self.request_id: str | None = self.problem.get("request_id")  # finds the request in the service's log
        super().__init__(f"{detail} ({status}, {code})")


class Unreachable(TurnoError):
    """Nothing answered at the service's address, or the connection broke."""


class NotTurno(Unreachable):
    """What answers at this address is not Turno."""


class JobFailed(TurnoError):
    """The job ended without a result: `code` is its error's, or `canceled`."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.code = job.error.code if job.error else job.status
        detail = (job.error.detail or job.error.title) if job.error else "The job was canceled."
        super().__init__(f"{detail} ({self.code}, job {job.id})")


class TimedOut(TurnoError):
    """The job has not ended in the time given; it goes on, and can be waited for again."""

    def __init__(self, job: Job) -> None:
        self.job = job
        super().__init__(f"The job {job.id} is still {job.status}: wait for it again.")
