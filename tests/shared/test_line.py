"""Who stands where: classes, turns, and a caller's fair share."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.jobs import NewJob, Priority
from shared.line import Line
from tests.redis_server import RedisServer
from tests.shared.make import new_job


def _jobs(caller: str, numbers: range, priority: Priority = Priority.INTERACTIVE) -> list[NewJob]:
    return [new_job(f"{number:05}-{caller}", caller=caller, priority=priority) for number in numbers]


def test_one_callers_jobs_leave_in_the_order_they_came(line: Line) -> None:
    arrivals = _jobs("a", range(20))
    line.join(arrivals)
    assert list(line.take("leaf", 7)) + list(line.take("leaf", 100)) == [job.id for job in arrivals]
    assert list(line.take("leaf", 1)) == []


def test_interactive_jobs_stand_before_every_batch_job(line: Line) -> None:
    line.join(_jobs("a", range(5), Priority.BATCH))
    line.join(_jobs("b", range(5, 8)))
    assert list(line.take("leaf", 4)) == ["00005-b", "00006-b", "00007-b", "00000-a"]


def test_a_newcomer_stands_right_behind_the_head_of_a_long_line(line: Line) -> None:
    line.join(_jobs("a", range(1000)))
    line.join(_jobs("b", range(1000, 1001)))
    assert line.positions("leaf", ["01000-b"])["01000-b"] == 1


def test_two_callers_with_long_lines_take_turns(line: Line) -> None:
    line.join(_jobs("a", range(50)))
    line.join(_jobs("b", range(50, 100)))
    taken = list(line.take("leaf", 60))
    for at in range(2, 60, 2):
        assert abs(sum(id_.endswith("a") for id_ in taken[:at]) - at / 2) <= 1


def test_a_caller_who_was_served_much_waits_for_nobody_and_owes_nothing(line: Line) -> None:
    line.join(_jobs("a", range(1000)))
    line.take("leaf", 900)
    line.join(_jobs("b", range(1000, 1100)))
    assert line.positions("leaf", ["01000-b"]).get("01000-b", 0) <= 2
    line.take("leaf", 200)
    line.join(_jobs("a", range(2000, 2001)))
    assert line.positions("leaf", ["02000-a"])["02000-a"] == 0


def test_a_caller_who_was_away_gains_nothing_by_it(line: Line) -> None:
    line.join(_jobs("b", range(1)))
    line.join(_jobs("a", range(1, 500)))
    line.take("leaf", 400)
    line.join(_jobs("b", range(500, 520)))
    ahead = list(line.take("leaf", 20))
    assert 9 <= sum(id_.endswith("a") for id_ in ahead) <= 11


def test_who_joins_again_keeps_the_place(line: Line) -> None:
    arrivals = _jobs("a", range(5))
    line.join(arrivals)
    line.join([arrivals[3], arrivals[0]])
    assert line.depth("leaf") == 5
    assert list(line.take("leaf", 5)) == [job.id for job in arrivals]


def test_what_is_put_back_stands_where_it_stood(line: Line) -> None:
    line.join(_jobs("a", range(6)))
    line.join(_jobs("b", range(6, 8), Priority.BATCH))
    taken = line.take("leaf", 7)
    line.join(_jobs("c", range(8, 9)))
    line.put_back("leaf", {id_: taken[id_] for id_ in ("00006-b", "00004-a", "00005-a")})
    assert list(line.take("leaf", 9)) == ["00004-a", "00005-a", "00008-c", "00006-b", "00007-b"]


def test_who_withdraws_a_thousand_jobs_has_not_had_their_turns(line: Line) -> None:
    many = _jobs("a", range(1000))
    line.join(many)
    line.take("leaf", 16)
    line.join(_jobs("b", range(1000, 1100)))
    line.leave(many[16:])
    line.join(_jobs("a", range(2000, 2001)))
    assert line.positions("leaf", ["02000-a"])["02000-a"] <= 2


def test_a_line_from_which_everybody_left_remembers_nobody(line: Line, redis_server: RedisServer) -> None:
    arrivals = _jobs("a", range(3))
    line.join(arrivals)
    line.leave(arrivals)
    assert redis_server.client().keys("turno:*") == []


def test_position_depth_and_missing_tell_what_stands_there(line: Line) -> None:
    arrivals = _jobs("a", range(4))
    line.join(arrivals)
    assert line.positions("leaf", [job.id for job in arrivals]) == {job.id: at for at, job in enumerate(arrivals)}
    line.leave([arrivals[1], replace(arrivals[1], id="unknown")])
    assert line.positions("leaf", ["00001-a", "00003-a"]) == {"00003-a": 2}
    assert line.depth("leaf") == 3
    assert line.missing("leaf", [job.id for job in arrivals]) == {"00001-a"}
    assert line.missing("other", ["00000-a"]) == {"00000-a"}


def test_lines_of_two_models_do_not_touch(line: Line) -> None:
    line.join([new_job("1", model="leaf"), new_job("2", model="xray"), new_job("3", model="leaf")])
    assert (line.depth("leaf"), line.depth("xray"), line.depth("none")) == (2, 1, 0)
    assert list(line.take("xray", 9)) == ["2"]
    assert list(line.take("leaf", 9)) == ["1", "3"]


def test_an_empty_line_leaves_nothing_in_redis(line: Line, redis_server: RedisServer) -> None:
    line.join(_jobs("a", range(3)))
    line.take("leaf", 3)
    assert redis_server.client().keys() == []


_CALLERS = st.sampled_from("abc")
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("join"), _CALLERS, st.sampled_from(Priority)),
        st.tuples(st.just("again"), st.integers(0, 30), st.none()),
        st.tuples(st.just("leave"), st.integers(0, 30), st.none()),
        st.tuples(st.just("take"), st.integers(1, 5), st.none()),
    ),
    max_size=40,
)


class _ModelLine:
    """The line in plain Python: per class, start-time fair queueing with ids to break ties."""

    def __init__(self) -> None:
        self.standing: dict[str, tuple[Priority, int, str]] = {}
        self.turns: dict[tuple[Priority, str], int] = {}
        self.served: dict[Priority, int] = {}

    def join(self, job: NewJob) -> None:
        if job.id in self.standing:
            return
        heads = [turn for priority, turn, _ in self.standing.values() if priority is job.priority]
        serving = min(heads) if heads else self.served.get(job.priority, 0)
        turn = max(self.turns.get((job.priority, job.caller), 0) + 1, serving)
        self.turns[job.priority, job.caller] = turn
        self.standing[job.id] = (job.priority, turn, job.id)

    def order(self) -> list[str]:
        return sorted(self.standing, key=self.standing.__getitem__)

    def take(self, most: int) -> list[str]:
        taken = self.order()[:most]
        for id_ in taken:
            priority, turn, _ = self.standing.pop(id_)
            self.served[priority] = turn
        if not self.standing:
            self.turns, self.served = {}, {}
        return taken

    def leave(self, job: NewJob) -> None:
        if self.standing.pop(job.id, None):
            self.turns[job.priority, job.caller] -= 1
            if not self.standing:
                self.turns, self.served = {}, {}


@given(steps=_STEPS)
@settings(max_examples=60)
def test_the_line_moves_as_its_plain_model_does(steps: list[tuple[str, object, object]], line: Line) -> None:
    line.take("leaf", 1000)
    model, arrivals = _ModelLine(), list[NewJob]()
    for verb, what, priority in steps:
        match verb, what, priority:
            case "join", str(caller), Priority():
                arrivals.append(new_job(f"{len(arrivals):03}", caller=caller, priority=priority))
                line.join(arrivals[-1:])
                model.join(arrivals[-1])
            case "take", int(most), _:
                assert list(line.take("leaf", most)) == model.take(most)
            case "again", int(at), _ if at < len(arrivals):
                line.join([arrivals[at]])
                model.join(arrivals[at])
            case "leave", int(at), _ if at < len(arrivals):
                line.leave([arrivals[at]])
                model.leave(arrivals[at])
    everyone = [job.id for job in arrivals]
    assert line.depth("leaf") == len(model.standing)
    assert line.missing("leaf", [*everyone, "nobody"]) == {*everyone, "nobody"} - model.standing.keys()
    order = model.order()
    assert line.positions("leaf", order) == {id_: at for at, id_ in enumerate(order)}


@pytest.mark.parametrize("turns", [2**39])
def test_a_line_that_served_for_years_still_tells_turns_apart(
    turns: int, line: Line, redis_server: RedisServer
) -> None:
    line.join(_jobs("a", range(1), Priority.BATCH))
    redis_server.client().hset("turno:{leaf}:turns", "1:a", turns)
    line.join(_jobs("a", range(1, 300), Priority.BATCH))
    line.join(_jobs("b", range(300, 301), Priority.BATCH))
    assert list(line.take("leaf", 400))[-299:] == [job.id for job in _jobs("a", range(1, 300))]
