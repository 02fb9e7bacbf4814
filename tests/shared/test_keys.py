"""Which keys are taken, and what may be said of them."""

import secrets

import pytest

from shared.errors import OperatorError
from shared.keys import KeyRing, key_id

KEY = "kT9xW2mQ7vB4nR8pL1cZ6yH3sD5fG0jA"
OTHER = secrets.token_urlsafe(32)


def test_a_valid_key_is_named_by_its_id() -> None:
    assert KeyRing(KEY).caller(KEY) == key_id(KEY)


def test_several_keys_are_taken_and_told_apart() -> None:
    ring = KeyRing(f" {KEY} ,{OTHER}, ")
    assert ring.caller(KEY) == key_id(KEY)
    assert ring.caller(OTHER) == key_id(OTHER)
    assert key_id(KEY) != key_id(OTHER)


@pytest.mark.parametrize("wrong", [KEY[:-1], KEY + "x", KEY.swapcase(), KEY[:-1] + "B", "", " ", f"{KEY},{OTHER}", "é"])
def test_a_near_miss_is_no_key(wrong: str) -> None:
    assert KeyRing(f"{KEY},{OTHER}").caller(wrong) is None


@pytest.mark.parametrize("keys", ["", " ", ",", " , "])
def test_no_keys_is_an_empty_ring_that_knows_nobody(keys: str) -> None:
    ring = KeyRing(keys)
    assert not ring
    assert ring.caller("") is None
    assert ring.caller(keys) is None


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
