"""API keys for tests, in a table."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from shared import keystore
from shared.database import Database
from shared.jobs import ApiKey, Scope
from shared.keys import DEFAULT_SCOPES, digest_of, new_key_id, new_secret


@dataclass
class MadeKey:
    """A key with its secret, which only its owner has."""

    id: str = field(default_factory=new_key_id)
    secret: str = field(default_factory=new_secret)

    @property
    def header(self) -> dict[str, str]:
        """What a request with this key brings."""
        return {"X-API-Key": self.secret}


def make_key(database: Database, scopes: Iterable[Scope] = DEFAULT_SCOPES, **limits: Any) -> MadeKey:
    """A new key in the table."""
    made = MadeKey()
    key = ApiKey(made.id, "of a test", frozenset(scopes), **limits)
    database.write(lambda connection: keystore.add(connection, key, digest_of(made.secret)))
    return made


def revoke_key(database: Database, key_id: str) -> bool:
    """Whether it was live until now."""
    return database.write(lambda connection: keystore.revoke(connection, key_id))


def rotate_key(database: Database, key_id: str, overlap_seconds: float) -> MadeKey:
    """The key with its new secret."""
    made = MadeKey(key_id)
    assert database.write(lambda one: keystore.rotate(one, key_id, digest_of(made.secret), overlap_seconds))
    return made
