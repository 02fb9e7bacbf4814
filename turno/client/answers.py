"""What the service answers, as types; what a newer service adds to an answer is passed over."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Self

ENDED = frozenset({"succeeded", "failed", "canceled"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from the probabilities: `diagnosed`, `uncertain` or `not_recognised`."""

    kind: str
    label: str | None = None
    probability: float | None = None  # calibrated
    threshold: float | None = None
    not_recognised_probability: float | None = None  # calibrated, of all labels together that the model is not for
    not_recognised_threshold: float | None = None
    reason_code: str | None = None
    reason: str | None = None

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """The verdict in a result."""
        return cls(**{**_known(cls, document), "label": document.get("class")})


@dataclass(frozen=True, slots=True)
class Hint:
    """What may be wrong with a photo: `too_dark`, `too_bright`, `too_blurred` or `too_small`."""

    code: str
    value: float | None = None
    limit: float | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Which model answered, run by what."""

    name: str
    version: str | None = None
    sha256: str | None = None
    engine: str | None = None
    precision: str | None = None
    verified: dict[str, Any] | None = None  # largest_shift from the framework of its training, on how many images


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to one image; probabilities are the model's own numbers, 0 to 1."""

    predicted_class: str
    confidence: float
    probabilities: dict[str, float]
    predictions: list[float]  # the same in the order of the labels
    verdict: Verdict | None = None
    model: Receipt | None = None
    hints: tuple[Hint, ...] = ()

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """The result in a ticket."""
        known = _known(cls, document)
        known["verdict"] = Verdict.read(document["verdict"]) if document.get("verdict") else None
        known["model"] = Receipt(**_known(Receipt, document["model"])) if document.get("model") else None
        known["hints"] = _hints(document)
        return cls(**known)


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed, or a file of a batch was refused; docs/errors.md lists the codes."""

    code: str
    title: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A ticket: one image on its way, or at its end."""

    id: str
    status: str  # queued, running, succeeded, failed or canceled
    model: str
    received_at: datetime
    client_id: str | None = None
    batch_id: str | None = None
    priority: str | None = None
    keep: str | None = None
    filename: str | None = None
    metadata: dict[str, Any] | None = None
    run: int = 1
    attempt: int = 0
    version: int = 0  # one more for each change
    deadline_at: datetime | None = None
    position: int | None = None  # how many stand before it
    eta_seconds: float | None = None
    timeline: dict[str, float] | None = None  # ms since `received` at which each stage was reached
    result: Result | None = None
    error: JobError | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing but a retry or an erasure can still happen to it."""
        return self.status in ENDED

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """The job in a ticket."""
        known = _known(cls, document)
        known["received_at"] = datetime.fromisoformat(document["received_at"])
        known["deadline_at"] = datetime.fromisoformat(at) if (at := document.get("deadline_at")) else None
        known["result"] = Result.read(document["result"]) if document.get("result") else None
        known["error"] = JobError(**_known(JobError, document["error"])) if document.get("error") else None
        return cls(**known)


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of one file of a batch."""

    index: int  # its place among the images as they were given, from 0
    filename: str | None
    status: str  # as of a job, or refused, or erased
    job_id: str | None = None
    predicted_class: str | None = None
    confidence: float | None = None
    probabilities: dict[str, float] | None = None
    verdict: Verdict | None = None
    error: JobError | None = None
    hints: tuple[Hint, ...] = ()

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """One of a batch's results."""
        known = _known(cls, document)
        known["verdict"] = Verdict.read(document["verdict"]) if document.get("verdict") else None
        known["error"] = JobError(**_known(JobError, document["error"])) if document.get("error") else None
        known["hints"] = _hints(document)
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Part:
    """The images of one request: a batch of the service, or without an id if it accepted none of them."""

    id: str | None
    total: int
    counts: dict[str, int]  # by status
    done: bool = True
    eta_seconds: float | None = None
    refused: tuple[BatchResult, ...] = ()

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """The part that the service calls a batch."""
        known = _known(cls, document)
        known["refused"] = tuple(map(refused_file, document.get("refused", ())))
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Batch:
    """Images that belong together; many of them take several requests."""

    parts: tuple[Part, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """What the service calls the batches that it accepted."""
        return tuple(part.id for part in self.parts if part.id is not None)

    @property
    def total(self) -> int:
        """How many images were sent."""
        return sum(part.total for part in self.parts)

    @property
    def done(self) -> bool:
        """Whether no image is queued or running any more."""
        return all(part.done for part in self.parts)

    @property
    def counts(self) -> dict[str, int]:
        """How many images have each status."""
        return dict(sum((Counter(part.counts) for part in self.parts), Counter()))

    @property
    def ended(self) -> int:
        """How many images will not change any more."""
        return self.total - sum(self.counts.get(status, 0) for status in ("queued", "running"))

    @property
    def eta_seconds(self) -> float | None:
        """Estimated time until it is done; None when not known."""
        return max((part.eta_seconds for part in self.parts if part.eta_seconds is not None), default=None)


def refused_file(document: Mapping[str, Any]) -> BatchResult:
    """A file of a batch that was not accepted."""
    error = JobError(document["code"], detail=document.get("detail"))
    return BatchResult(document["index"], document.get("filename"), "refused", error=error)


@dataclass(frozen=True, slots=True)
class Model:
    """A served model; all but its name is known only while a worker has it warm."""

    name: str
    ready: bool
    labels: tuple[str, ...] = ()  # in output order
    version: str | None = None
    sha256: str | None = None
    engine: str | None = None
    precision: str | None = None
    workers: int = 0

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """The model in a card."""
        return cls(**{**_known(cls, document), "labels": tuple(label["id"] for label in document.get("labels", ()))})


def _hints(document: Mapping[str, Any]) -> tuple[Hint, ...]:
    return tuple(Hint(**_known(Hint, hint)) for hint in document.get("hints") or ())


def _known(kind: type, document: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: document[field.name] for field in fields(kind) if field.name in document}
