"""What is told of a job: its ticket, but for its place in the line; webhooks carry the same."""

from datetime import datetime
from typing import Any

from shared import errors
from shared.jobs import Job

_PLAIN = (
    "id", "client_id", "batch_id", "status", "model", "keep", "filename", "metadata", "run", "attempt", "version",
    "received_at", "deadline_at", "webhook_url",
)  # fmt: skip
_KINDS = [kind for name in errors.__all__ if issubclass(kind := getattr(errors, name), errors.TurnoError)]
_TITLES = {kind.code: kind.title() for kind in _KINDS}


def describe(job: Job) -> dict[str, Any]:
    """The job for its caller; times are UTC-aware."""
    timeline = _timeline(job)
    result = None
    if job.result is not None:
        result = {"filename": job.filename, **job.result, "timeline": timeline}
        result.pop("stages_ms", None)  # the timeline has them
    here = f"/v1/jobs/{job.id}"
    return {
        **{name: getattr(job, name) for name in _PLAIN},
        "priority": job.priority.name.lower(),
        "webhook_events": job.webhook_events.split(",") if job.webhook_events else None,
        "timeline": timeline,
        "result": result,
        "error": describe_error(job.error_code, job.error_detail) if job.error_code else None,
        "urls": {
            "self": here,
            "events": f"{here}/events",
            "cancel": f"{here}/cancel",
            "retry": f"{here}/retry",
            "deliveries": f"{here}/deliveries",
        },
    }


def describe_error(code: str, detail: str | None) -> dict[str, Any]:
    """A recorded error, with its fixed sentence."""
    return {"code": code, "title": _TITLES.get(code, errors.JobError.title()), "detail": detail}


def _timeline(job: Job) -> dict[str, float]:
    def since_received(moment: datetime | None) -> float | None:
        return None if moment is None else max(0.0, round((moment - job.received_at).total_seconds() * 1000, 1))

    claimed = since_received(job.claimed_at)
    stages = (job.result or {}).get("stages_ms", {})
    moments = {
        "received": 0.0,
        "queued": since_received(job.queued_at),
        "claimed": claimed,
        **{name: round((claimed or 0) + elapsed, 1) for name, elapsed in stages.items()},
        "stored": since_received(job.finished_at),
    }
    return {name: moment for name, moment in moments.items() if moment is not None}
