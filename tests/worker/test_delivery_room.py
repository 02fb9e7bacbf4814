"""Nobody waits for a server of somebody else, nor for another server of their own."""

import pytest

from shared import jobqueries
from shared.database import Database
from shared.hooks import DeliveryState
from tests.receiver import Receiver, answer, hang
from tests.waiting import wait_for
from tests.worker.couriers import Courier, end_a_job, log_of, post


def _arrived(database: Database, job_id: str = "a") -> bool:
    return [one.state for one in log_of(database, job_id=job_id)] == [DeliveryState.SUCCEEDED]


@pytest.mark.parametrize("number", [5, 20])
def test_dead_servers_do_not_keep_their_callers_healthy_one_waiting(
    number: int, database: Database, receiver: Receiver
) -> None:
    with Receiver("0.0.0.0") as dead:
        dead.answer_with(hang())
        urls = [dead.url.replace("0.0.0.0", f"127.0.1.{at}") for at in range(1, number + 1)]
        post(database, urls * 50)
        with Courier(database, most_seconds=60).running():
            dead.wait_for(2 * number)
            end_a_job(database, url=receiver.url)
            wait_for(lambda: _arrived(database), "the healthy one to be told")
            assert dead.open_connections == dead.connections == 2 * number, "all of them still hang"


def test_a_server_that_hangs_does_not_keep_others_waiting(database: Database, receiver: Receiver) -> None:
    with Receiver() as dead:
        dead.answer_with(hang())
        post(database, [dead.url] * 1000)
        end_a_job(database, url=receiver.url)
        with Courier(database, most_seconds=60).running():
            wait_for(lambda: _arrived(database), "the healthy one to be told")
            dead.wait_for(2)
        assert dead.connections == 2


def test_a_server_that_hangs_gets_one_at_a_time_until_it_answers(database: Database, receiver: Receiver) -> None:
    receiver.answer_with(hang())
    post(database, [receiver.url] * 51)
    courier = Courier(database, most_seconds=0.3)
    assert courier.rounds(3) == [2, 1, 1]
    receiver.answer_with(answer(500))  # an answer, if not the one that was hoped for
    assert courier.rounds(6) == [1, 2, 4, 8, 10, 10]
    receiver.answer_with(hang())
    assert courier.rounds(3) == [10, 1, 1]


def test_a_dead_server_leaves_another_on_the_same_host_all_it_may_have(database: Database, receiver: Receiver) -> None:
    with Receiver() as dead:
        dead.answer_with(hang())
        post(database, [dead.url] * 2)
        courier = Courier(database, most_seconds=0.3)
        assert courier.rounds(1) == [2]
        post(database, [url for _ in range(9) for url in (dead.url, receiver.url)])
        courier.now = database.read(jobqueries.now)
        assert courier.rounds(2) == [1 + 2, 1 + 4]


def test_somebody_with_many_servers_that_hang_leaves_room_for_others(database: Database, receiver: Receiver) -> None:
    with Receiver("0.0.0.0") as dead:
        dead.answer_with(hang())
        urls = [dead.url.replace("0.0.0.0", f"127.0.1.{at}") for at in range(1, 201)]
        post(database, urls * 2, caller="crowd")
        with Courier(database, most_seconds=60).running():
            dead.wait_for(150)
            end_a_job(database, url=receiver.url)
            wait_for(lambda: _arrived(database), "the healthy one to be told")
            assert dead.open_connections == dead.connections == 150, "all of them still hang"


def test_one_that_has_ended_makes_room_for_the_next(database: Database, receiver: Receiver) -> None:
    post(database, [receiver.url.replace("127.0.0.1", f"127.0.1.{at}") for at in range(1, 200)] * 2, caller="crowd")
    courier = Courier(database)  # nobody listens there: all of them fail at once
    assert courier.rounds(3) == [150, 150, 98]
