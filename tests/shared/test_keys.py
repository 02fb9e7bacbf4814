"""Which keys are taken, and what may be said of them."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.database import Database, migrate
from shared.errors import OperatorError
from shared.jobs import ApiKey, Scope
from shared.keys import DEFAULT_SCOPES, KeyRing, digest_of, key_id, new_key_id, new_secret, required_keys
from shared.keystore import StoredKey
from shared.settings import Settings
from tests.shared.keys import make_key, revoke_key

KEY = "kT9xW2mQ7vB4nR8pL1cZ6yH3sD5fG0jA"
OTHER = "Z7qL2pX9wE4rT6yU1iO3aS5dF8gH0jKm"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def stored(secret: str, *, former: str | None = None, revoked: bool = False) -> StoredKey:
    """A row whose former secret is valid until noon."""
    key = ApiKey("key-of-table", "field app", frozenset({Scope.READ}), revoked_at=NOON if revoked else None)
    return StoredKey(key, digest_of(secret), digest_of(former) if former else None, NOON if former else None)


def test_a_valid_key_is_named_by_its_id_and_may_read_and_write() -> None:
    key = KeyRing(KEY).find(KEY)
    assert key is not None
    assert (key.id, key.scopes) == (key_id(KEY), DEFAULT_SCOPES)


def test_several_keys_are_taken_and_told_apart() -> None:
    ring = KeyRing(f" {KEY} ,{OTHER}, ")
    found = [ring.find(KEY), ring.find(OTHER)]
    assert [key.id for key in found if key] == [key_id(KEY), key_id(OTHER)]
    assert key_id(KEY) != key_id(OTHER)


@pytest.mark.parametrize("wrong", [KEY[:-1], KEY + "x", KEY.swapcase(), KEY[:-1] + "B", "", " ", f"{KEY},{OTHER}", "é"])
def test_a_near_miss_is_no_key(wrong: str) -> None:
    assert KeyRing(KEY, [stored(OTHER)]).find(wrong) is None


def test_a_digest_is_no_key() -> None:
    assert KeyRing("", [stored(OTHER)]).find(digest_of(OTHER)) is None


@pytest.mark.parametrize("keys", ["", " ", ",", " , "])
def test_no_keys_is_an_empty_ring_that_knows_nobody(keys: str) -> None:
    ring = KeyRing(keys)
    assert not ring
    assert ring.find("") is None
    assert ring.find(keys) is None


def test_a_key_of_the_table_is_taken_beside_those_of_the_setting() -> None:
    row = stored(OTHER)
    ring = KeyRing(KEY, [row])
    assert ring.find(OTHER) == row.key
    assert ring.find(KEY) is not None


def test_a_key_that_stands_in_both_places_is_the_one_of_the_setting() -> None:
    found = KeyRing(KEY, [stored(KEY)]).find(KEY)
    assert found is not None
    assert found.id == key_id(KEY)


def test_a_revoked_key_is_refused_with_all_its_secrets_and_still_named() -> None:
    ring = KeyRing("", [stored(OTHER, former=KEY, revoked=True)])
    for secret in (OTHER, KEY):
        assert ring.find(secret, NOON - timedelta(days=1)) is None
        assert ring.id_of(secret) == "key-of-table"
    assert ring, "a ring that has had a key is not an empty one"


def test_a_former_secret_is_valid_until_its_overlap_ends() -> None:
    ring = KeyRing("", [stored(OTHER, former=KEY)])
    for now, valid in ((NOON - timedelta(seconds=1), True), (NOON, False), (NOON + timedelta(days=1), False)):
        assert (ring.find(KEY, now) is not None) is valid
        assert ring.find(OTHER, now) is not None
    assert ring.id_of(KEY) == "key-of-table"


def test_an_unknown_key_is_named_by_its_digest() -> None:
    assert KeyRing(KEY).id_of(OTHER) == key_id(OTHER)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (KEY[:31], "31 characters; at least 32"),
        ("a" * 40, "can be guessed"),
        ("abcabcab" * 5, "can be guessed"),
        ("change-me-change-me-change-me-0123", "is an example"),
        ("Your-API-Key-9xW2mQ7vB4nR8pL1cZ6y", "is an example"),
        ("0123456789abcdef0123456789abcdef", "is an example"),
    ],
)
def test_a_key_that_can_be_guessed_is_refused_with_advice(key: str, reason: str) -> None:
    with pytest.raises(OperatorError, match=reason) as refused:
        KeyRing(f"{OTHER},{key}")
    assert "secrets.token_urlsafe(32)" in str(refused.value)
    assert key not in str(refused.value)


def test_an_id_gives_nothing_of_its_key_away() -> None:
    name = key_id(KEY)
    assert name.startswith("key-")
    assert len(name) == 14
    assert not any(KEY[at : at + 4] in name for at in range(len(KEY) - 3))


def test_made_secrets_and_ids_are_long_enough_and_never_the_same() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(secret.startswith("turno_") and len(secret) >= 6 + 43 for secret in made)
    assert len({new_key_id() for _ in range(100)}) == 100
    KeyRing(made.pop())  # good enough for API_KEY, too


def on_the_network(tmp_path: Path, **changes: str) -> Settings:
    return Settings(_env_file=None, host="0.0.0.0", state_dir=tmp_path, **changes)


def test_on_the_network_a_live_key_in_the_table_is_enough(tmp_path: Path) -> None:
    settings = on_the_network(tmp_path)
    migrate(settings.sql_url)
    database = Database(settings.sql_url)
    with pytest.raises(OperatorError, match="set API_KEY, make a key"):
        required_keys(settings)
    made = make_key(database)
    required_keys(settings)
    revoke_key(database, made.id)
    with pytest.raises(OperatorError, match="set API_KEY, make a key"):
        required_keys(settings)
    database.close()


def test_on_the_network_a_database_from_before_the_keys_has_none(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="make a key"):
        required_keys(on_the_network(tmp_path))
    assert list(tmp_path.iterdir()) == [], "looking makes no database"
    sqlite3.connect(tmp_path / "turno.sqlite").close()
    with pytest.raises(OperatorError, match="make a key"):
        required_keys(on_the_network(tmp_path))


@pytest.mark.parametrize("url", ["postgresql://127.0.0.1:1/turno", "nonsense"])
def test_on_the_network_a_database_that_cannot_be_read_is_one_sentence(url: str, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"The database cannot be used .*: check DATABASE_URL") as refused:
        required_keys(on_the_network(tmp_path, database_url=url))
    assert "\n" not in str(refused.value)
