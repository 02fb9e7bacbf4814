"""What became of a batch, a row for each file: as JSON, and as CSV for a spreadsheet."""

import csv
import io
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, Field

from api.answers import Described, Hint, Verdict
from api.services import ServiceSet
from api.tickets import TicketError, ticket_error
from shared import batchstore
from shared.jobs import TERMINAL, Batch, Job, JobStatus

_STATUSES: list[Any] = [*JobStatus, batchstore.ERASED, "refused"]
_COLUMNS = (
    "index", "filename", "job_id", "status", "predicted_class", "confidence", "verdict", "error", "detail", "hints",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run (OWASP, CSV injection)


class FileResult(BaseModel):
    """What became of one file."""

    index: int
    filename: str | None
    job_id: str | None = Field(description="null for a refused file")
    status: str = Field(description="as of a job, or erased, or refused", json_schema_extra={"enum": _STATUSES})
    predicted_class: str | None = None
    confidence: float | None = None
    verdict: Annotated[dict[str, Any], Described(Verdict)] | None = None
    hints: list[Annotated[dict[str, Any], Described(Hint)]] | None = None
    probabilities: dict[str, float] | None = None
    error: TicketError | None = None


class BatchResults(BaseModel):
    """What became of a batch so far."""

    batch: str
    done: bool
    results: list[FileResult]


async def results_of(services: ServiceSet, batch: Batch) -> BatchResults:
    """Every file of the batch in the order in which they were sent, refused ones included."""
    members = await services.read(lambda connection: batchstore.members(connection, batch.id))
    rows = [_row(index, job) for index, job in members]
    rows += [
        FileResult(
            index=one.index,
            filename=one.filename,
            job_id=None,
            status="refused",
            error=ticket_error(one.code, one.detail),
        )
        for one in batch.refused
    ]
    return BatchResults(
        batch=batch.id,
        done=all(job.status in TERMINAL for _, job in members),
        results=sorted(rows, key=lambda row: row.index),
    )


def as_csv(results: Iterable[FileResult]) -> str:
    """The rows as CSV (RFC 4180), with a column for each class."""
    rows = list(results)
    classes = list(dict.fromkeys(name for row in rows for name in row.probabilities or ()))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*_COLUMNS, *(f"p:{name}" for name in classes)])
    for row in rows:
        kind = (row.verdict or {}).get("kind")
        error, detail = (row.error.code, row.error.detail) if row.error else (None, None)
        plain = (row.index, row.filename, row.job_id, row.status, row.predicted_class, row.confidence, kind, error)
        probabilities = [(row.probabilities or {}).get(name) for name in classes]
        hints = " ".join(hint["code"] for hint in row.hints or ())
        writer.writerow([_harmless(value) for value in (*plain, detail, hints or None, *probabilities)])
    return text.getvalue()


def _row(index: int, job: Job) -> FileResult:
    row = FileResult(index=index, filename=job.filename, job_id=job.id, status=job.status)
    if job.erased_at:
        row.status = batchstore.ERASED
    elif job.result is not None:
        row = row.model_copy(update={name: job.result.get(name) for name in ("predicted_class", "confidence")})
        row = row.model_copy(update={name: job.result.get(name) for name in ("verdict", "hints", "probabilities")})
    elif job.error_code:
        row.error = ticket_error(job.error_code, job.error_detail)
    return row


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
