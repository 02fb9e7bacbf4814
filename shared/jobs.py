"""A job's life: its states, the moves between them, and the ticket that names it.

Nothing here knows SQL, Redis or HTTP; `shared.jobstore` turns each move into one guarded UPDATE.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
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


class Keep(StrEnum):
    """What stays of a job after its end."""

    FULL = "full"  # image and result, for the deployment's retention
    RESULT = "result"  # the result; the image goes at the end, and was stored without EXIF and GPS
    NOTHING = "nothing"  # the result for an hour, to be fetched; then a tombstone


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
    "expire": Move((_S.QUEUED,), _S.FAILED, "courier: its deadline has passed"),
    "abandon": Move((_S.QUEUED,), _S.FAILED, "courier: its model has not been served for long"),
    "cancel": Move((_S.QUEUED, _S.RUNNING), _S.CANCELED, "caller"),
    "retry": Move((_S.FAILED, _S.CANCELED), _S.QUEUED, "caller"),
}

TERMINAL = frozenset({_S.SUCCEEDED, _S.FAILED, _S.CANCELED})

UPLOAD_MAX_SECONDS = 6 * 3600  # from a request's first byte to its rows: the first image of a slow batch waits so long
MAX_LOST = 3  # a job whose worker died this often is the likely cause: it fails as `worker-lost`


@dataclass(frozen=True, slots=True)
class Job:
    """One job as SQL holds it; times are UTC-aware."""

    id: str
    client_id: str | None  # the name its caller gave it with PUT
    batch_id: str | None
    model: str
    caller: str
    priority: Priority
    filename: str | None
    metadata: dict[str, Any] | None
    keep: Keep
    fingerprint: str | None  # of what was asked for: tells a replay from another payload
    status: JobStatus
    run: int  # +1 for each retry by the caller
    attempt: int  # +1 for each claim, never reset: the fencing number
    lost_count: int  # how often a worker died or went silent with this job in hand
    version: int  # +1 for each move: event and entity tags are made from it
    received_at: datetime
    queued_at: datetime
    deadline_at: datetime | None  # not claimed by then, it fails
    claimed_at: datetime | None
    finished_at: datetime | None
    erased_at: datetime | None
    result: dict[str, Any] | None
    error_code: str | None
    error_detail: str | None
    webhook_url: str | None  # who is told, beside the caller's registered webhooks,
    webhook_events: str | None  # of what, comma-separated

    @property
    def terminal(self) -> bool:
        """Whether nothing but a retry or an erasure can still happen to it."""
        return self.status in TERMINAL

    def queued(self) -> "Queued":
        """What the line has to know of it."""
        return Queued(self.id, self.model, self.caller, self.priority)


@dataclass(frozen=True, slots=True)
class Queued:
    """A job that waits, as the line sees it."""

    id: str
    model: str
    caller: str
    priority: Priority


@dataclass(frozen=True, slots=True)
class NewJob(Queued):
    """An accepted upload on its way into the jobs table; its image is already durable."""

    filename: str | None
    received_at: datetime  # the request began
    queued_at: datetime  # its image was durable
    keep: Keep = Keep.FULL
    deadline_seconds: int | None = None
    metadata: dict[str, Any] | None = None
    client_id: str | None = None
    idempotency_key: str | None = None
    fingerprint: str | None = None
    batch_id: str | None = None
    batch_index: int | None = None
    webhook_url: str | None = None
    webhook_events: str | None = None

    @property
    def deadline_at(self) -> datetime | None:
        """When it fails unless a worker has it by then; a slow upload takes nothing of it."""
        return None if self.deadline_seconds is None else self.queued_at + timedelta(seconds=self.deadline_seconds)


@dataclass(frozen=True, slots=True)
class Claim:
    """A job in a worker's hand; `attempt` and `owner` are the proof that it still is.

    `owner`, too: claims commit without waiting for the disk, so that a database that crashes may forget one, and give
    its number out again.
    """

    id: str
    attempt: int
    owner: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one claimed job ended: a result, or an error code with a sentence for people."""

    claim: Claim
    result: dict[str, Any] | None = None
    error_code: str | None = None
    error_detail: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A file of a batch that was not accepted."""

    index: int  # its place among the files as they were sent, from 0
    filename: str | None
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Images that were sent in one request, and what was refused of them."""

    id: str
    caller: str
    received_at: datetime
    total: int  # files sent
    refused: list[Refused]
    idempotency_key: str | None = None
    fingerprint: str | None = None
    erased_at: datetime | None = None


class Scope(StrEnum):
    """What a key may do."""

    WRITE = "jobs:write"  # submit, cancel, retry, erase
    READ = "jobs:read"  # look, list, listen
    ADMIN = "admin"  # everything, with everybody's jobs


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What may be known of an API key: everything but the key."""

    id: str  # the caller of its jobs
    name: str
    scopes: frozenset[Scope]
    rate_per_minute: int | None = None  # None: as the deployment says; 0: no limit
    images_per_day: int | None = None
    created_at: datetime | None = None
    revoked_at: datetime | None = None

    def may(self, scope: Scope) -> bool:
        """Whether the key has this scope, or all of them."""
        return scope in self.scopes or Scope.ADMIN in self.scopes
