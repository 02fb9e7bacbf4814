"""A job's life: its states, the moves between them, and the ticket that names it.

Nothing here knows SQL, Redis or HTTP; `shared.jobstore` turns each move into one guarded UPDATE.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"  # durable, waiting for a worker
    RUNNING = "running"  # claimed by one worker under a lease
    SUCCEEDED = "succeeded"  # has a result
    FAILED = "failed"  # has an error code
    CANCELED = "canceled"  # withdrawn by the caller


class Priority(IntEnum):
    """Which jobs leave the line first; the number is what SQL and the line sort by."""

    INTERACTIVE = 0
    BATCH = 1


@dataclass(frozen=True, slots=True)
class Move:
    """One arrow of the diagram: who may take a job from which states to which state."""

    sources: tuple[JobStatus, ...]
    target: JobStatus
    actor: str


_S = JobStatus
MOVES: dict[str, Move] = {
    "claim": Move((_S.QUEUED,), _S.RUNNING, "worker"),
    "succeed": Move((_S.RUNNING,), _S.SUCCEEDED, "worker"),
    "fail": Move((_S.RUNNING,), _S.FAILED, "worker"),
    "hand_back": Move((_S.RUNNING,), _S.QUEUED, "worker: a fault that is not the job's"),
    "requeue_lost": Move((_S.RUNNING,), _S.QUEUED, "worker or courier: the owner died or its lease ran out"),
    "give_up": Move((_S.RUNNING,), _S.FAILED, "worker or courier: lost too often"),
    "abandon": Move((_S.QUEUED,), _S.FAILED, "courier: its model has not been served for long"),
    "cancel": Move((_S.QUEUED, _S.RUNNING), _S.CANCELED, "caller"),
    "retry": Move((_S.FAILED, _S.CANCELED), _S.QUEUED, "caller"),
}

TERMINAL = frozenset({_S.SUCCEEDED, _S.FAILED, _S.CANCELED})

MAX_LOST = 3  # a job whose worker died this often is the likely cause: it fails as `worker-lost`


@dataclass(frozen=True, slots=True)
class Job:
    """One job as SQL holds it; times are UTC-aware."""

    id: str
    model: str
    caller: str
    priority: Priority
    filename: str | None
    status: JobStatus
    run: int  # +1 for each retry by the caller
    attempt: int  # +1 for each claim, never reset: the fencing number
    lost_count: int  # how often a worker died or went silent with this job in hand
    version: int  # +1 for each move: event and entity tags are made from it
    received_at: datetime
    queued_at: datetime
    claimed_at: datetime | None
    finished_at: datetime | None
    erased_at: datetime | None
    result: dict[str, Any] | None
    error_code: str | None
    error_detail: str | None

    @property
    def terminal(self) -> bool:
        """Whether nothing but a retry or an erasure can still happen to it."""
        return self.status in TERMINAL


@dataclass(frozen=True, slots=True)
class NewJob:
    """An accepted upload on its way into the jobs table; its image is already durable."""

    id: str
    model: str
    caller: str
    priority: Priority
    filename: str | None
    received_at: datetime  # the request began
    queued_at: datetime  # its image was durable


@dataclass(frozen=True, slots=True)
class Claim:
    """A job in a worker's hand; `attempt` and `owner` are the proof that it still is.

    `owner`, too: claims commit without waiting for the disk, so that a database that crashes may forget one, and give
    its number out again.
    """

    id: str
    attempt: int
    owner: str
    filename: str | None
    received_at: datetime
    queued_at: datetime
    claimed_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one claimed job ended: a result, or an error code with a sentence for people."""

    claim: Claim
    result: dict[str, Any] | None = None
    error_code: str | None = None
    error_detail: str | None = None
