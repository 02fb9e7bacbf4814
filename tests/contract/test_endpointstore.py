"""Webhooks as their owners have them, on every database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

from shared import endpointstore, jobqueries
from shared.database import Database
from shared.hooks import Endpoint, Event, new_secret
from tests.contract.told import register


def _get(database: Database, endpoint_id: str) -> Endpoint:
    found = database.read(lambda connection: endpointstore.get(connection, endpoint_id))
    assert found
    return found


def test_what_signs_for_jobs_own_addresses_is_made_once_for_each_caller(database: Database) -> None:
    start = Barrier(6, timeout=30)

    def make(number: int) -> Endpoint:
        start.wait()
        return database.write(lambda connection: endpointstore.default_of(connection, f"key-{number % 2}"))

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(make, range(6)))
    assert made[0] == made[2] == made[4] != made[1] == made[3] == made[5]
    for one in made[:2]:
        assert (one.url, one.events) == (None, ())
        assert database.read(lambda connection, of=one.caller: endpointstore.signer(connection, None, of)) == one
        assert database.read(lambda connection, of=one.caller: endpointstore.of_caller(connection, of)) == []
        assert database.read(lambda connection, of=one.caller: endpointstore.live_of(connection, [of])) == []


def test_a_caller_has_their_own_webhooks_oldest_first(database: Database) -> None:
    mine = [register(database, f"https://{number}.example/", [Event.JOB_FAILED]) for number in range(3)]
    register(database, caller="key-b")
    assert database.read(lambda connection: endpointstore.of_caller(connection, "key-a")) == mine
    assert _get(database, mine[1].id) == mine[1]
    database.write(lambda connection: endpointstore.remove(connection, mine[0].id))
    assert database.read(lambda connection: endpointstore.of_caller(connection, "key-a")) == mine[1:]


def test_the_secret_before_a_rotation_signs_for_as_long_as_was_said(database: Database) -> None:
    one = register(database)
    first, second, third = one.secret, new_secret(), new_secret()
    database.write(lambda connection: endpointstore.rotate(connection, one.id, second, 60))
    now, rotated = database.read(jobqueries.now), _get(database, one.id)
    assert rotated.secrets(now) == [second, first]
    assert rotated.secrets(now + timedelta(seconds=61)) == [second]
    database.write(lambda connection: endpointstore.rotate(connection, one.id, third, 0))
    assert _get(database, one.id).secrets(now) == [third]


def test_a_webhook_stays_disabled_for_its_first_reason_until_it_is_enabled(database: Database) -> None:
    one = register(database)
    for because in (endpointstore.GONE, endpointstore.DISABLED):
        database.write(lambda connection, because=because: endpointstore.disable(connection, one.id, because))
    disabled = _get(database, one.id)
    assert disabled.disabled_because == endpointstore.GONE
    assert disabled.disabled_at is not None
    database.write(lambda connection: endpointstore.enable(connection, one.id))
    assert _get(database, one.id) == one
