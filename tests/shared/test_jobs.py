"""The diagram of a job's life hangs together."""

import pytest

from shared.jobs import MOVES, TERMINAL, JobStatus, Move

S = JobStatus


def _followers(status: JobStatus) -> set[JobStatus]:
    return {move.target for move in MOVES.values() if status in move.sources}


def test_every_state_is_reached_from_queued() -> None:
    reached = {S.QUEUED}
    while fresh := {target for status in reached for target in _followers(status)} - reached:
        reached |= fresh
    assert reached == set(S)


def test_every_state_that_is_no_end_can_still_end() -> None:
    for status in set(S) - TERMINAL:
        assert _followers(status) & TERMINAL, status


def test_a_success_is_final() -> None:
    assert not _followers(S.SUCCEEDED)


def test_only_a_retry_by_the_caller_leaves_an_end() -> None:
    leaving = {name for name, move in MOVES.items() if TERMINAL & set(move.sources)}
    assert leaving == {"retry"}
    assert MOVES["retry"].actor == "caller"


def test_only_a_claim_starts_a_run() -> None:
    assert [name for name, move in MOVES.items() if move.target is S.RUNNING] == ["claim"]


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_a_move_leads_elsewhere_and_says_who_makes_it(move: Move) -> None:
    assert move.sources
    assert move.target not in move.sources
    assert move.actor
