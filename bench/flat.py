"""What each operation costs beside a million jobs that have ended, and a hundred thousand that wait, against none.

`python -m bench.flat --database sqlite`: three minutes. The three databases are asked in turns, so that whatever else
the machine does meets all of them alike; a ratio is the median of the rounds' ratios. Times are wall-clock milliseconds
of one thread, SQL and Redis included.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
import uuid_utils

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.copied import DAYS, FORMER, MODEL, RARE
from bench.filled import CALLERS, OWNER, RESULT, Situation, new_job, situations
from shared import batchstore, jobqueries, jobstore, outbox
from shared.broker import Bell, make_celery
from shared.hooks import DeliveryState
from shared.images import open_images
from shared.jobqueries import Selection, least_id
from shared.jobs import JobStatus, Outcome
from shared.line import Line
from shared.metrics import ServiceCollector
from shared.outbox import DeliveryFilter
from shared.presence import Note, Presence
from shared.settings import Settings
from worker.courier import Courier
from worker.retention import Retention

_BATCH = 16
_PAGE = 51  # the default page, and what says that there is another


@dataclass
class Row:
    """One operation: its milliseconds in each situation, round by round."""

    name: str
    times_ms: list[list[float]] = field(default_factory=list)

    def medians_ms(self) -> list[float]:
        """For each situation."""
        return [statistics.median(times) for times in zip(*self.times_ms, strict=True)]

    def ratios(self) -> list[float]:
        """Over the first situation."""
        return [
            statistics.median(times[at] / times[0] for times in self.times_ms) for at in range(1, len(self.times_ms[0]))
        ]


class Operations:
    """What a request, a worker's batch or a courier's round does, in one situation; each leaves things as they were."""

    def __init__(self, situation: Situation, folder: Path) -> None:
        self._it = situation
        self._redis = situation.redis()
        self._line = Line(self._redis)
        self._presence = Presence(self._redis)
        settings = Settings(_env_file=None, state_dir=folder, redis_url=situation.server.url)  # type: ignore[call-arg]
        images = open_images(settings)
        images.prepare()
        bell = Bell(make_celery(settings), self._redis)
        self._courier = Courier(settings, situation.database, self._line, bell)
        self._retention = Retention(settings, situation.database, images)
        self._metrics = ServiceCollector(self._redis, self._line, self._presence, MODEL)
        self._taken: list[str] = []
        self._claims: list[Any] = []
        receipt = {"name": MODEL, "version": "1", "digest": "d" * 64, "engine": "openvino", "precision": "bf16"}
        self._presence.beat(MODEL, OWNER, Note(0.01, receipt, {"labels": ["healthy", "rust"] * 5}))

    def _arrive(self, size: int = 1) -> list[Any]:
        now = datetime.now(UTC)
        ids = [uuid_utils.uuid7().hex for _ in range(size)]
        return [new_job(3, now, id=id_, client_id=None, batch_id=None, idempotency_key=id_) for id_ in ids]

    def job(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """The way of a batch of jobs, from submission to the end."""
        it = self._it.database
        alone, many = self._arrive(), self._arrive(_BATCH)
        yield "submit: 1 row", lambda: it.write(lambda c: jobstore.add(c, alone), durable=True)
        yield "submit: 16 rows", lambda: it.write(lambda c: jobstore.add(c, many), durable=True)
        yield "line: 16 join", lambda: self._line.join(many)
        yield "poll: a queued job", lambda: self._poll(many[-1].id)
        yield "line: take 16", lambda: setattr(self, "_taken", list(self._line.take(MODEL, _BATCH)))
        yield "claim 16", lambda: setattr(self, "_claims", self._claim())
        yield "renew 16", lambda: it.write(lambda c: jobstore.renew(c, self._claims, OWNER, 30))
        ends = lambda: [Outcome(one, RESULT) for one in self._claims]  # noqa: E731 - not known before
        yield "finish 16", lambda: it.write(lambda c: jobstore.finish(c, ends()), durable=True)
        yield "poll: an ended job", lambda: self._poll(self._taken[0])
        yield "cancel", lambda: it.write(lambda c: jobstore.cancel(c, alone[0].id))
        yield "replay: by key", lambda: self._named(idempotency_key=many[0].idempotency_key)
        yield "look-up: by own name", lambda: self._named(client_id="name-3-7")

    def _claim(self) -> list[Any]:
        return self._it.database.write(lambda c: jobstore.claim(c, self._taken, OWNER, 30))

    def _poll(self, id_: str) -> None:
        (job,) = self._it.database.read(lambda c: jobqueries.get(c, [id_]))
        if job.status is JobStatus.QUEUED:
            self._presence.jobs_per_second(MODEL)
            self._line.positions(MODEL, [id_])

    def _named(self, **name: str) -> None:
        self._it.database.read(lambda c: jobqueries.first_with(c, CALLERS[3], **name))

    def lists(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Lists of jobs, with every filter, alone and together."""
        now = datetime.now(UTC)
        far = least_id(now - timedelta(days=DAYS * 0.9))
        times = {
            "": {},
            ", created before a day ago": {"created_before": now - timedelta(days=1)},
            ", created long ago": {"created_before": now - timedelta(days=DAYS * 0.9)},
            ", created lately": {"created_after": now - timedelta(minutes=1)},
        }
        for caller, whose in (("everybody's", None), ("a caller's", CALLERS[1])):
            for status in (None, *JobStatus):
                for model in (None, MODEL, FORMER, RARE, "unheard-of"):
                    for when, moments in times.items():
                        wanted = Selection(whose, status, model, **moments)  # type: ignore[arg-type]
                        of = f" of {model}" if model else ""
                        yield (
                            f"list: {caller} {status or 'jobs'}{of}{when}",
                            lambda wanted=wanted: self._list(wanted, None),
                        )  # type: ignore[misc]
            wanted = Selection(whose)
            yield f"list: {caller} jobs, far cursor", lambda wanted=wanted: self._list(wanted, far)  # type: ignore[misc]
        yield "list: a batch's", lambda: self._list(Selection(batch_id=f"{0:016x}{2:016x}"), None)

    def _list(self, wanted: Selection, before_id: str | None) -> list[Any]:
        return self._it.database.read(lambda c: jobqueries.page(c, wanted, before_id, _PAGE))

    def others(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Batches, webhooks, the courier and who looks."""
        it, batch = self._it.database, f"{0:016x}{2:016x}"
        yield "batch: its files", lambda: it.read(lambda c: batchstore.files(c, batch))
        yield "batch: its jobs", lambda: it.read(lambda c: batchstore.members(c, batch))
        for caller in (None, CALLERS[3]):
            for state in (None, *DeliveryState):
                for endpoint in (None, f"{3:032x}"):
                    which = DeliveryFilter(caller, state, endpoint)
                    name = f"deliveries: {'everybody' if caller is None else 'a caller'}'s {state or ''}"
                    ask = lambda which=which: it.read(lambda c: outbox.page(c, which, None, _PAGE))  # type: ignore[misc]  # noqa: E731
                    yield f"{name}{' of a webhook' if endpoint else ''}", ask
        now = it.read(jobqueries.now)
        dead = [f"{caller} https://dead.example" for caller in CALLERS]
        yield "courier: audit", self._courier.audit
        yield "courier: leases", lambda: it.write(lambda c: jobstore.requeue_lapsed(c, now), durable=True)
        yield "courier: deadlines", self._courier.end_late
        yield "courier: models", lambda: self._courier.abandon(now)
        yield "courier: erase", lambda: self._retention.erase(now)
        yield "courier: sweep", lambda: self._retention.sweep(now)
        yield "courier: due", lambda: it.read(lambda c: outbox.due(c, now, ([], []), 100))
        yield "courier: due but for dead", lambda: it.read(lambda c: outbox.due(c, now, (dead, []), 100))
        yield "courier: late", lambda: it.read(outbox.late_seconds)
        yield "siblings' owners", lambda: it.read(lambda c: jobqueries.running_owners(c, "host/boot/"))
        yield "metrics", lambda: list(self._metrics.collect())
        yield (
            "backlog's look",
            lambda: (self._line.depth(MODEL), it.read(lambda c: jobqueries.longest_wait_seconds(c, MODEL))),
        )
        yield "backlog's count", lambda: it.read(lambda c: jobqueries.queued_count(c, 100))

    def all(self) -> list[tuple[str, Callable[[], object]]]:
        """In the order in which they are to be done."""
        return [*self.job(), *self.lists(), *self.others()]


def measure(kind: str, folder: Path, rows: int, waiting: int, rounds: int) -> tuple[list[str], list[Row]]:
    """Fills the databases, and times every operation in each of them.

    Args:
        kind: "sqlite" or "postgresql".

    Returns:
        The names of the situations, and a row for each operation.
    """
    found: dict[str, Row] = {}
    with situations(kind, folder, rows, waiting) as made:
        everyone = [Operations(one, folder / f"r{number}") for number, one in enumerate(made)]
        for number in range(rounds + 2):
            for steps in zip(*(one.all() for one in everyone), strict=True):
                times = [_milliseconds(work) for _, work in steps]
                if number > 1:  # statements are compiled and prepared in the first rounds
                    found.setdefault(steps[0][0], Row(steps[0][0])).times_ms.append(times)
        return [one.name for one in made], list(found.values())


def _milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def main(
    database: str = "sqlite",
    rows: int = 1_000_000,
    waiting: int = 100_000,
    rounds: int = 7,
    *,
    every: Annotated[bool, typer.Option(help="every filter of a list, not the dearest alone")] = False,
) -> None:
    """Prints one table."""
    with tempfile.TemporaryDirectory(prefix="flat-") as folder:
        names, found = measure(database, Path(folder), rows, waiting, rounds)
    print(f"{database}: median milliseconds".ljust(60), *(name.rjust(22) for name in names))
    for row in found if every else _dearest(found):
        times = [f"{time_ms:.2f}" for time_ms in row.medians_ms()]
        ratios = ["", *(f"  × {ratio:.1f}" for ratio in row.ratios())]
        print(row.name.ljust(60), *((one + ratio.rjust(9)).rjust(22) for one, ratio in zip(times, ratios, strict=True)))


def _dearest(found: list[Row]) -> list[Row]:
    lists = [row for row in found if row.name.startswith(("list", "deliveries"))]
    shown = {row.name for row in sorted(lists, key=lambda row: max(row.medians_ms()))[-12:]}
    return [row for row in found if row not in lists or row.name in shown]


if __name__ == "__main__":
    typer.run(main)
