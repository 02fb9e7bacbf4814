"""How many jobs a session takes at once, and what it does when something is broken."""

import json
from collections.abc import Sequence

import pytest

from shared.broker import Bell, make_celery, queue_of
from shared.jobs import JobStatus, Outcome, Priority
from shared.logs import configure_logging
from tests.photos import jpeg
from tests.shared.make import claim, get, lose, new_job
from tests.worker.bench import Bench
from worker.recovery import recover_siblings
from worker.session import Sessions


def _sessions(bench: Bench, told: list[str]) -> Sessions:
    def tell(outcomes: Sequence[Outcome]) -> None:
        told.extend(outcome.claim.id for outcome in outcomes)

    bell = Bell(make_celery(bench.settings), bench.redis)
    return Sessions(bench.settings, bench.runner, bench.line, bell, bench.pulse, tell)


def _queue(bench: Bench, ids: str) -> None:
    for id_ in ids:
        bench.queue(id_, jpeg())
    bench.line.join(new_job(id_) for id_ in ids)


def test_the_first_job_of_an_unmeasured_model_is_taken_alone(bench: Bench) -> None:
    told: list[str] = []
    _queue(bench, "abcde")
    _sessions(bench, told).run("leaf")
    assert bench.engine.batches[0] == 1
    assert sum(bench.engine.batches) == 5
    assert sorted(told) == list("abcde")
    assert bench.line.depth("leaf") == 0


@pytest.mark.parametrize(("cost", "first"), [(0.000001, 4), (0.13, 3), (0.5, 1), (60, 1)])
def test_a_batch_costs_no_more_than_its_budget(cost: float, first: int, bench: Bench) -> None:
    bench.settings.batch_max, bench.settings.batch_seconds = 4, 0.5
    bench.pulse.measured(cost)
    _queue(bench, "abcde")
    _sessions(bench, []).run("leaf")
    assert bench.engine.batches[0] == first


@pytest.mark.parametrize("lost", [0, 1], ids=["fresh", "suspects"])
def test_a_newcomer_waits_for_one_batch_budget_whatever_the_images_ahead_turn_out_to_cost(
    lost: int, bench: Bench
) -> None:
    bench.settings.batch_seconds = 1e-4  # which the first image exceeds
    bench.pulse.measured(1e-9)  # as many small images before it
    told: list[str] = []

    def somebody_waits() -> None:
        bench.engine.meanwhile = lambda: None
        bench.queue("e", jpeg())
        bench.line.join([new_job("e", caller="another", priority=Priority.INTERACTIVE)])

    bench.engine.meanwhile = somebody_waits
    for id_ in "abcd":
        bench.queue(id_, jpeg(), priority=Priority.BATCH)
        lose(bench.database, id_, lost)
    bench.line.join(new_job(id_, priority=Priority.BATCH) for id_ in "abcd")
    _sessions(bench, told).run("leaf")
    assert told == list("aebcd")


def test_a_full_batch_rings_for_idle_workers(bench: Bench) -> None:
    _queue(bench, "ab")
    _sessions(bench, []).run("leaf")
    assert bench.redis.llen(queue_of("leaf")) == 1


def test_an_empty_line_rings_for_nobody(bench: Bench) -> None:
    _sessions(bench, []).run("leaf")
    assert bench.redis.llen(queue_of("leaf")) == 0


def test_a_suspect_taken_with_others_is_run_after_them(bench: Bench) -> None:
    bench.pulse.measured(0.01)
    told: list[str] = []
    for id_ in "abc":
        bench.queue(id_, jpeg())
    lose(bench.database, "a", 1)
    bench.line.join(new_job(id_) for id_ in "abc")
    _sessions(bench, told).run("leaf")
    assert bench.engine.batches == [2, 1]
    assert told[-1] == "a"


def test_faults_in_a_row_pause_the_worker_ever_longer(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    def break_down() -> None:
        raise RuntimeError("broken")

    configure_logging("ERROR")
    bench.engine.meanwhile = break_down
    sessions = _sessions(bench, [])
    for id_ in "ab":
        _queue(bench, id_)
        sessions.run("leaf")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["pause_seconds"] for line in lines if "pause_seconds" in line] == [1, 2]
    assert {str(get(bench.database, id_).status) for id_ in "ab"} == {"queued"}


def test_a_child_takes_back_what_its_dead_siblings_had(bench: Bench) -> None:
    dead = 4_194_305  # above any pid of Linux
    for id_, owner in {
        "a": f"host/boot/{dead}",
        "b": "host/boot/1",
        "c": f"host/other/{dead}",
        "d": "host/boot/77",
    }.items():
        bench.queue(id_, jpeg())
        claim(bench.database, id_, owner=owner)
    recover_siblings(bench.database, "host/boot/", own_pid=77)
    found = {id_: get(bench.database, id_).status for id_ in "abcd"}
    assert found == {"a": JobStatus.QUEUED, "b": JobStatus.RUNNING, "c": JobStatus.RUNNING, "d": JobStatus.QUEUED}
