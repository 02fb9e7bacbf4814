"""Keys in SQL, on every database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared import keystore
from shared.database import Database, migrate
from shared.jobs import Scope
from shared.keys import digest_of
from shared.keystore import StoredKey
from shared.settings import Settings
from shared.tables import keys
from tests.conftest import ON_EVERY_DATABASE
from tests.shared.keys import make_key, revoke_key, rotate_key

pytestmark = ON_EVERY_DATABASE


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[Database]:
    url = Settings(_env_file=None, state_dir=tmp_path, database_url=database_url).sql_url
    migrate(url)
    database = Database(url)
    yield database
    database.close()


def load(database: Database) -> dict[str, StoredKey]:
    return {one.key.id: one for one in database.read(keystore.load)}


def any_live(database: Database) -> bool:
    return database.read(keystore.any_live)


def test_a_key_comes_back_as_it_was_made(database: Database) -> None:
    assert not any_live(database)
    made = make_key(database, [Scope.READ, Scope.ADMIN], rate_per_minute=600, images_per_day=0)
    key = load(database)[made.id].key
    assert (key.name, key.scopes) == ("of a test", {Scope.READ, Scope.ADMIN})
    assert (key.rate_per_minute, key.images_per_day, key.revoked_at) == (600, 0, None)
    assert key.created_at is not None
    assert abs(key.created_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert any_live(database)


def test_no_row_holds_a_secret(database: Database) -> None:
    first = make_key(database)
    second = rotate_key(database, first.id, overlap_seconds=3600)
    (row,) = database.read(lambda connection: connection.execute(sa.select(keys)).all())
    assert digest_of(second.secret) in row
    for secret in (first.secret, second.secret):
        assert secret not in repr(row)
        assert secret.removeprefix("turno_") not in repr(row)


def test_a_revoked_key_stays_in_the_table_and_is_revoked_once(database: Database) -> None:
    made, other = make_key(database), make_key(database)
    assert revoke_key(database, made.id)
    assert not revoke_key(database, made.id)
    assert not revoke_key(database, "key-0000000000")
    assert load(database)[made.id].key.revoked_at is not None
    assert load(database)[other.id].key.revoked_at is None
    assert any_live(database)
    revoke_key(database, other.id)
    assert not any_live(database)


def test_a_rotation_keeps_everything_but_the_secret(database: Database) -> None:
    made = make_key(database, [Scope.WRITE], rate_per_minute=5)
    before = load(database)[made.id]
    rotated = rotate_key(database, made.id, overlap_seconds=3600)
    after = load(database)[made.id]
    assert after.key == before.key
    assert (after.digest, after.former_digest) == (digest_of(rotated.secret), digest_of(made.secret))
    assert after.former_until is not None
    assert abs(after.former_until - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=5)


def test_a_rotation_without_overlap_ends_every_former_secret(database: Database) -> None:
    made = make_key(database)
    rotate_key(database, made.id, overlap_seconds=3600)
    rotate_key(database, made.id, overlap_seconds=0)
    after = load(database)[made.id]
    assert (after.former_digest, after.former_until) == (None, None)


def test_a_revoked_or_unknown_key_is_not_rotated(database: Database) -> None:
    made = make_key(database)
    revoke_key(database, made.id)
    before = load(database)
    for key_id in (made.id, "key-0000000000"):
        assert not database.write(lambda connection, id_=key_id: keystore.rotate(connection, id_, "d", 60))
    assert load(database) == before


def test_nothing_is_committed_by_the_store_itself(database: Database) -> None:
    made = make_key(database)

    def work(connection: sa.Connection) -> None:
        keystore.revoke(connection, made.id)
        raise KeyError("of the caller")

    with pytest.raises(KeyError):
        database.write(work)
    assert any_live(database)
