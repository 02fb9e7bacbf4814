"""One photo the whole way: accepted, taken by a worker, answered; and what the way itself does to waits and events."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from turno.client import Job, JobFailed, Model, Refused, Result, TimedOut, Turno, TurnoError
from turno.doctor.findings import Finding, fail, ok, warn
from turno.doctor.service import NEW_KEY, get

EXAMPLE = Path(__file__).parents[2] / "api" / "static" / "examples" / "rust.jpg"
_EXPECTED = {"leaf-health": "rust"}  # what the model that comes with Turno sees on it
RESULT_SECONDS = 60
_LATE_SECONDS = 1.0
_SUM_TOLERANCE = 0.01  # the worker's own
_STAGES = (
    ("queue", "queued", "claimed"),
    ("decode", "claimed", "decoded"),
    ("infer", "decoded", "inferred"),
    ("store", "inferred", "stored"),
)
_OF_THE_PHOTO = {415, 422}


@dataclass(frozen=True, slots=True)
class Photo:
    """What is sent, and the class that must come back; None where any will do."""

    path: Path
    expect: str | None


def photo_for(model: Model, image: Path | None, expect: str | None) -> Photo:
    """The photo to send to this model."""
    known = _EXPECTED.get(model.name) if image is None else None
    return Photo(image or EXAMPLE, expect or known)


def golden_path(turno: Turno, model: Model, photo: Photo) -> Iterator[Finding]:
    """Sends the photo, waits for its answer two ways, and looks at everything that comes back."""
    try:
        job = turno.submit(photo.path, keep="nothing", model=model.name)
    except OSError as error:
        yield fail("golden", f"{photo.path} cannot be read ({error.strerror}).", "Give a photo with --image.")
        return
    except Refused as refusal:
        yield _not_accepted(refusal)
        return
    listener = _Listener(turno, job)
    listener.start()
    begun = time.monotonic()
    try:
        ended = turno.wait(job, RESULT_SECONDS)
        answered_ms = (time.monotonic() - begun) * 1000
        result = turno.result(ended)
    except TimedOut as late:
        with contextlib.suppress(TurnoError):
            turno.cancel(job)
        yield fail(
            "golden",
            f"The photo was accepted, but is still {late.job.status} after {RESULT_SECONDS} s{_place(late.job)}.",
            "Look at the worker's log and at `/metrics`: more waits than the workers can do, or none of them works.",
        )
        return
    except JobFailed as failure:
        yield fail("golden", str(failure), "Look at the worker's log; docs/errors.md explains the code.")
        return
    yield from _answer(result, model, photo)
    yield ok("timeline", f"{_timeline(ended)}; {answered_ms:.0f} ms as seen from here")
    yield listener.finding()
    yield _prefer(turno, job)


class _Listener(threading.Thread):
    """Hears the job's events beside the wait, and notes when they came."""

    def __init__(self, turno: Turno, job: Job) -> None:
        super().__init__(daemon=True)
        self._turno = turno
        self._job = job
        self._begun = time.monotonic()
        self._first_seconds: float | None = None
        self._error: Exception | None = None

    def run(self) -> None:
        """Listens until the job's end."""
        try:
            for _ in self._turno.watch(self._job):
                self._first_seconds = self._first_seconds or time.monotonic() - self._begun
        except (TurnoError, RuntimeError) as error:  # RuntimeError: the client was closed meanwhile
            self._error = error

    def finding(self) -> Finding:
        """How the events came; to be asked when the job is known to have ended."""
        self.join(_LATE_SECONDS)
        if self._error:
            return fail("events", f"They do not come through: {self._error}", "Let the proxy pass text/event-stream.")
        if self._first_seconds is None or self._first_seconds > _LATE_SECONDS or self.is_alive():
            return warn(
                "events",
                f"They come more than {_LATE_SECONDS:.0f} s late: something on the way collects them.",
                "Switch buffering off in the proxy: nginx `proxy_buffering off`, Caddy `flush_interval -1`.",
            )
        return ok("events", f"the first came after {self._first_seconds * 1000:.0f} ms, the end with the answer")


def _not_accepted(refusal: Refused) -> Finding:
    if refusal.code == "scope-missing":
        to_do = f"The key needs the scope jobs:write: {NEW_KEY}."
    elif refusal.status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
        to_do = (
            "Raise the limit of the proxy (nginx: client_max_body_size) or UPLOAD_MAX_BYTES, or send a smaller photo."
        )
    elif refusal.status in _OF_THE_PHOTO:
        to_do = "Give another photo with --image."
    else:
        to_do = "docs/errors.md explains the code; the request id finds the request in the log."
    return fail("golden", f"The photo was not accepted: {refusal}", to_do)


def _answer(result: Result, model: Model, photo: Photo) -> Iterator[Finding]:
    if list(result.probabilities) != list(model.labels) or len(result.predictions) != len(model.labels):
        yield fail(
            "answer",
            f"The answer's classes ({', '.join(result.probabilities)}) are not the card's ({', '.join(model.labels)}).",
            "Restart the workers: some may still serve another model or card.",
        )
        return
    total = sum(result.probabilities.values())
    if abs(total - 1) > _SUM_TOLERANCE:
        yield fail(
            "answer", f"The probabilities sum to {total:.3f}, not 1.", "Set the card's activation: softmax or sigmoid."
        )
        return
    said = f"{photo.path.name} is {result.predicted_class} ({result.confidence:.1%})"
    if photo.expect is not None and result.predicted_class != photo.expect:
        yield fail(
            "answer",
            f"{said}, and should be {photo.expect}.",
            "Check the order of the labels, and the scale and colour order, against the training (docs/model-card.md).",
        )
        return
    yield ok("answer", said if photo.expect else f"{said}; with --image and --expect this would be checked, too")


def _timeline(job: Job) -> str:
    moments = job.timeline or {}
    spans = [
        f"{name} {moments[end] - moments[start]:.0f} ms"
        for name, start, end in _STAGES
        if start in moments and end in moments
    ]
    return ", ".join(spans)


def _place(job: Job) -> str:
    return "" if job.position is None else f", behind {job.position} others"


def _prefer(turno: Turno, job: Job) -> Finding:
    answer = get(turno, f"/v1/jobs/{job.id}", Prefer="wait=1")
    if "wait=1" in answer.headers.get("Preference-Applied", ""):
        return ok("wait", "`Prefer: wait` comes through")
    return warn(
        "wait",
        "`Prefer: wait` or its answer is lost on the way: clients have to poll.",
        "Let the proxy pass the headers Prefer and Preference-Applied.",
    )
