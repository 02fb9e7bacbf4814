"""Whatever callers, workers and couriers do in whatever order, a job lives by its diagram.

A plain-Python twin of the table makes the same moves; after each the rows must be the twin's.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from shared import jobqueries, jobstore
from shared.database import Database
from shared.jobs import MAX_LOST, MOVES, Claim, Job, JobStatus, Outcome
from shared.tables import jobs
from tests.shared.make import RESULT, add, claim, finish

S = JobStatus
_IDS = [f"job-{number}" for number in range(5)]
_OWNERS = ["host/boot/1", "host/boot/2"]
_ARROWS = {(source, move.target) for move in MOVES.values() for source in move.sources}


@dataclass
class Twin:
    """What a row should say."""

    status: JobStatus = S.QUEUED
    run: int = 1
    attempt: int = 0
    lost_count: int = 0
    version: int = 1
    owner: str | None = None
    erased: bool = False
    ends: int = 0  # of the present run

    def move(self, target: JobStatus) -> None:
        self.status, self.version = target, self.version + 1
        self.owner = self.owner if target is S.RUNNING else None
        self.ends += target not in (S.QUEUED, S.RUNNING)


class Life(RuleBasedStateMachine):
    """Random lives of a few jobs in one database."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.database.write(lambda connection: connection.execute(jobs.delete()))
        self.twins: dict[str, Twin] = {}
        self.claims: list[Claim] = []
        self.seen: dict[str, Job] = {}

    def _write(self, work: Any, *arguments: Any) -> Any:
        return self.database.write(lambda connection: work(connection, *arguments))

    @rule(job_id=st.sampled_from(_IDS))
    def arrive(self, job_id: str) -> None:
        if job_id not in self.twins:
            add(self.database, job_id)
            self.twins[job_id] = Twin()

    @rule(ids=st.lists(st.sampled_from(_IDS), min_size=1, max_size=4, unique=True), owner=st.sampled_from(_OWNERS))
    def claim(self, ids: list[str], owner: str) -> None:
        claims = claim(self.database, *ids, owner=owner)
        expected = []
        for id_ in ids:
            twin = self.twins.get(id_)
            if twin and twin.status is S.QUEUED and (len(ids) == 1 or not twin.lost_count):
                twin.owner = owner
                twin.attempt += 1
                twin.move(S.RUNNING)
                expected.append((id_, twin.attempt))
        assert [(one.id, one.attempt) for one in claims] == expected
        self.claims += claims

    @rule(data=st.data(), good=st.booleans())
    def finish(self, data: st.DataObject, good: bool) -> None:
        if not self.claims:
            return
        one = data.draw(st.sampled_from(self.claims))
        outcome = Outcome(one, RESULT) if good else Outcome(one, error_code="model-fault", error_detail="No.")
        twin = self.twins[one.id]
        counts = twin.status is S.RUNNING and twin.attempt == one.attempt
        assert finish(self.database, outcome) == ([outcome] if counts else [])
        if counts:
            twin.move(S.SUCCEEDED if good else S.FAILED)

    @rule(data=st.data())
    def hand_back(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.sampled_from(self.claims), max_size=3)) if self.claims else []
        self._write(jobstore.hand_back, chosen)
        for one in chosen:
            twin = self.twins[one.id]
            if twin.status is S.RUNNING and twin.attempt == one.attempt:
                twin.move(S.QUEUED)

    def _lose(self, lost: list[Job], expected: list[str]) -> None:
        assert {job.id for job in lost} == set(expected)
        for id_ in expected:
            twin = self.twins[id_]
            twin.lost_count += 1
            twin.move(S.FAILED if twin.lost_count >= MAX_LOST else S.QUEUED)

    @rule(owner=st.sampled_from(_OWNERS))
    def owner_dies(self, owner: str) -> None:
        expected = [id_ for id_, twin in self.twins.items() if twin.owner == owner]
        self._lose(self._write(jobstore.requeue_owned_by, owner), expected)

    @rule(later=st.booleans())
    def leases_lapse(self, later: bool) -> None:
        now = self.database.read(jobqueries.now) + timedelta(seconds=600 if later else 0)
        expected = [id_ for id_, twin in self.twins.items() if twin.status is S.RUNNING and later]
        self._lose(self._write(jobstore.requeue_lapsed, now), expected)

    @rule(job_id=st.sampled_from(_IDS))
    def cancel(self, job_id: str) -> None:
        twin = self.twins.get(job_id)
        possible = bool(twin) and twin is not None and twin.status in (S.QUEUED, S.RUNNING)
        assert self._write(jobstore.cancel, job_id) is possible
        if twin and possible:
            twin.move(S.CANCELED)

    @rule(job_id=st.sampled_from(_IDS))
    def retry(self, job_id: str) -> None:
        twin = self.twins.get(job_id)
        possible = twin is not None and twin.status in (S.FAILED, S.CANCELED) and not twin.erased
        assert self._write(jobstore.retry, job_id) is possible
        if twin and possible:
            twin.move(S.QUEUED)
            twin.run, twin.lost_count, twin.ends = twin.run + 1, 0, 0

    @rule(ids=st.lists(st.sampled_from(_IDS), max_size=3, unique=True))
    def erase(self, ids: list[str]) -> None:
        self._write(jobstore.erase, ids)
        for twin in (self.twins[id_] for id_ in ids if id_ in self.twins):
            if twin.status in (S.QUEUED, S.RUNNING):
                twin.move(S.CANCELED)
            if not twin.erased:
                twin.erased, twin.version = True, twin.version + 1

    @invariant()
    def rows_are_the_twins(self) -> None:
        rows = {job.id: job for job in self.database.read(lambda connection: jobqueries.get(connection, _IDS))}
        assert rows.keys() == self.twins.keys()
        for id_, job in rows.items():
            twin = self.twins[id_]
            found = (job.status, job.run, job.attempt, job.lost_count, job.version, job.erased_at is not None)
            assert found == (twin.status, twin.run, twin.attempt, twin.lost_count, twin.version, twin.erased)
            assert twin.ends == int(job.terminal), "exactly one end for each run"
            assert (job.finished_at is not None) is job.terminal
            assert (job.error_code is not None) is (job.status is S.FAILED)
            assert (job.result is not None) is (job.status is S.SUCCEEDED and not twin.erased)
            self._moved_lawfully(self.seen.get(id_), job)
        self.seen = rows

    def _moved_lawfully(self, before: Job | None, after: Job) -> None:
        if before is None or before == after:
            return
        assert after.version > before.version
        assert after.attempt >= before.attempt
        one_move = after.version == before.version + 1 and after.erased_at == before.erased_at
        assert not one_move or (before.status, after.status) in _ARROWS


def test_no_sequence_of_events_breaks_the_diagram(database: Database) -> None:
    steps = settings(max_examples=40 if database.engine.dialect.name == "sqlite" else 15, stateful_step_count=30)
    run_state_machine_as_test(type("LifeHere", (Life,), {"database": database}), settings=steps)
