"""Who can reach the service, and with which key."""

import stat
from pathlib import Path

import pytest

from shared.database import Database, migrate
from shared.errors import OperatorError
from shared.keys import KeyRing
from shared.loopback import is_loopback
from shared.settings import Settings
from tests.shared.keys import make_key, revoke_key
from turno.access import key_for, local_address, phone_address, web_address


def settings(tmp_path: Path, host: str, api_key: str = "") -> Settings:
    return Settings(_env_file=None, host=host, api_key=api_key, state_dir=tmp_path)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "LOCALHOST", "::1"])
def test_loopback_needs_no_key_and_has_no_address_for_phones(tmp_path: Path, host: str) -> None:
    assert is_loopback(host)
    assert phone_address(host) is None
    assert key_for(settings(tmp_path, host)) is None
    assert not (tmp_path / "api.key").exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_anything_else_needs_one(host: str) -> None:
    assert not is_loopback(host)


def test_a_made_key_is_kept_closed_to_others_and_stays_valid(tmp_path: Path) -> None:
    first = key_for(settings(tmp_path, "0.0.0.0"))
    assert first is not None
    assert first.new
    assert stat.S_IMODE(first.path.stat().st_mode) == 0o600
    assert KeyRing(first.value).find(first.value) is not None
    again = key_for(settings(tmp_path, "0.0.0.0"))
    assert again is not None
    assert (again.value, again.new) == (first.value, False)


def test_a_half_written_key_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "api.key").touch()
    made = key_for(settings(tmp_path, "0.0.0.0"))
    assert made is not None
    assert made.new


def test_a_key_that_is_set_is_used_and_none_is_made(tmp_path: Path) -> None:
    assert key_for(settings(tmp_path, "0.0.0.0", api_key="k3y-of-0perator-with-enough-characters")) is None
    assert not (tmp_path / "api.key").exists()


def test_none_is_made_where_the_database_has_a_live_one(tmp_path: Path) -> None:
    network = settings(tmp_path, "0.0.0.0")
    migrate(network.sql_url)
    database = Database(network.sql_url)
    made = make_key(database)
    assert key_for(network) is None
    assert not (tmp_path / "api.key").exists()
    revoke_key(database, made.id)
    first = key_for(network)
    assert first is not None
    make_key(database)
    again = key_for(network)
    assert again is not None, "one that was given out stays valid"
    assert again.value == first.value
    database.close()


def test_a_set_key_that_is_no_good_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="API_KEY holds a key of 5 characters"):
        key_for(settings(tmp_path, "127.0.0.1", api_key="short"))


def test_a_key_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "api.key").mkdir()
    with pytest.raises(OperatorError, match="set API_KEY"):
        key_for(settings(tmp_path, "0.0.0.0"))


def test_addresses_are_ones_a_browser_takes() -> None:
    assert local_address("0.0.0.0") == "127.0.0.1"
    assert web_address(local_address("::"), 8000) == "http://[::1]:8000"
    assert phone_address("192.168.1.5") == "192.168.1.5"
