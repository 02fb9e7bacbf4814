"""Submissions are committed in groups, and nobody's fault is another's."""

import asyncio
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from api.intake import Intake
from shared.broker import Bell, connect_redis, make_celery
from shared.errors import StoreUnavailable
from tests.api.service import Service
from tests.shared.make import new_job, statuses


def _submit_all(service: Service, *jobs: Any, intake: Intake | None = None) -> list[Any]:
    intake = intake or service.app.state.services.intake

    async def all_at_once() -> list[Any]:
        async with asyncio.timeout(10):
            return await asyncio.gather(*(intake.submit(job) for job in jobs), return_exceptions=True)

    assert service.client.portal is not None
    return service.client.portal.call(partial(all_at_once))


def test_simultaneous_submissions_share_their_commits(service: Service) -> None:
    commits: list[Any] = []
    sa.event.listen(service.app.state.services.database.engine, "commit", commits.append)
    ids = [f"{number:03}" for number in range(200)]
    assert _submit_all(service, *(new_job(id_) for id_ in ids)) == [True] * 200
    assert len(statuses(service.database, ids)) == 200
    assert 1 <= len(commits) < 100


def test_a_bad_row_takes_no_other_down(service: Service) -> None:
    answers = _submit_all(service, new_job("a"), new_job("b"), new_job("x", caller=None), new_job("c"))
    assert [type(answer) for answer in answers].count(StoreUnavailable) == 1
    assert statuses(service.database, ["a", "b", "c"]) == dict.fromkeys("abc", "queued")


def test_the_committer_survives_a_row_that_no_database_takes(service: Service) -> None:
    # an intake of its own, which a dead committer cannot keep the application from ending with
    services = service.app.state.services
    own = Intake(
        service.database, services.line, Bell(make_celery(service.settings), connect_redis(service.settings.redis_url))
    )
    own.start()
    answers = _submit_all(service, new_job("a"), new_job("b", filename="\ud800"), new_job("c"), intake=own)
    assert [isinstance(answer, Exception) for answer in answers] == [False, True, False]
    assert _submit_all(service, new_job("d"), intake=own) == [True]
    assert statuses(service.database, ["a", "c", "d"]) == dict.fromkeys("acd", "queued")
    own.stop()


def test_who_was_told_no_finds_no_job_later(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.intake.MOST_SECONDS", 0.5)
    late = [f"{number:03}" for number in range(50)]
    with service.database.engine.connect().execution_options(turno_write=True) as held, held.begin():
        answers = _submit_all(service, new_job("in the transaction"))
        answers += _submit_all(service, *(new_job(id_) for id_ in late))
    assert {type(answer) for answer in answers} == {StoreUnavailable}
    monkeypatch.undo()
    assert _submit_all(service, new_job("afterwards")) == [True]
    assert statuses(service.database, late) == {}
