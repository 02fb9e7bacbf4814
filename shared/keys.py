"""API keys: where they come from, which are valid, and the short id by which logs and rows name one."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from shared import keystore
from shared.database import Database, unusable_database
from shared.errors import OperatorError
from shared.jobs import ApiKey, Scope
from shared.keystore import StoredKey
from shared.loopback import is_loopback
from shared.settings import Settings

_MIN_LENGTH = 32
_EXAMPLES = ("change-me", "changeme", "your-api-key", "your_api_key", "example", "secret-key", "0123456789abcdef")
_SECRET_BYTES = 32
_NEVER, _FOR_EVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_SECRET_PREFIX = "turno_"  # noqa: S105  lets a scanner of leaked secrets tell whose key it has found
DEFAULT_SCOPES = frozenset({Scope.READ, Scope.WRITE})
LOCAL_CALLER = "local"
# who asks when the service is open on its own machine
LOCAL = ApiKey(LOCAL_CALLER, LOCAL_CALLER, frozenset({Scope.ADMIN}), rate_per_minute=0, images_per_day=0)


@dataclass(frozen=True, slots=True)
class _Entry:
    digest: str
    key: ApiKey
    until: datetime


class KeyRing:
    """The keys of `API_KEY` and of the table, held as digests; empty only where there has never been one."""

    def __init__(self, configured: str, stored: Iterable[StoredKey] = ()) -> None:
        """Reads a comma-separated list, which comes before the table.

        Raises:
            OperatorError: a key of the list is too short, too uniform, or copied from an example.
        """
        listed = [key for key in map(str.strip, configured.split(",")) if _checked(key)]
        entries = [entry for one in stored for entry in _entries(one)]
        entries += [_Entry(digest_of(key), ApiKey(key_id(key), "API_KEY", DEFAULT_SCOPES), _FOR_EVER) for key in listed]
        self._entries = {entry.digest: entry for entry in entries}

    def __bool__(self) -> bool:
        return bool(self._entries)

    def find(self, key: str, now: datetime | None = None) -> ApiKey | None:
        """The key that is valid now, else None; how long it takes tells nothing about any key but its digest."""
        digest = digest_of(key)
        entry = self._entries.get(digest)
        if entry and hmac.compare_digest(entry.digest, digest) and (now or datetime.now(UTC)) < entry.until:
            return entry.key
        return None

    def knows(self, key: str) -> bool:
        """Whether this is a key, be it a valid one or one that has ended."""
        return digest_of(key) in self._entries

    def id_of(self, key: str) -> str:
        """How logs name a key that was given, valid or not."""
        entry = self._entries.get(digest_of(key))
        return entry.key.id if entry else key_id(key)


def _entries(stored: StoredKey) -> Iterator[_Entry]:
    # revoked ones, too: a log names them, and a service whose last key is gone does not open
    revoked = stored.key.revoked_at is not None
    if stored.former_digest and stored.former_until:
        yield _Entry(stored.former_digest, stored.key, _NEVER if revoked else stored.former_until)
    yield _Entry(stored.digest, stored.key, _NEVER if revoked else _FOR_EVER)


def required_keys(settings: Settings) -> KeyRing:
    """The keys of `API_KEY`; there must be one, or one in the table, where others than this machine can ask.

    Raises:
        OperatorError: one is no good, or others can reach the service and there is none.
    """
    ring = KeyRing(settings.api_key.get_secret_value())
    if not ring and not is_loopback(settings.host) and not table_has_live_key(settings):
        raise OperatorError(
            f"HOST is {settings.host}, which others can reach: set API_KEY, make a key with "
            "`python -m turno keys create --name NAME`, or listen on 127.0.0.1."
        )
    return ring


def table_has_live_key(settings: Settings) -> bool:
    """Whether a key was made and not revoked; False, too, where the database is not there yet or has no such table.

    Raises:
        OperatorError: the database cannot be read.
    """
    url = settings.sql_url
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        return False
    try:
        database = Database(url)
        try:
            return database.read(lambda one: sa.inspect(one).has_table("keys") and keystore.any_live(one))
        finally:
            database.close()
    except SQLAlchemyError as error:
        raise unusable_database(error) from error


def new_secret() -> str:
    """A key that nobody can guess: 256 random bits."""
    return _SECRET_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def new_key_id() -> str:
    """The id of a key of the table: random, so that it stays when the secret changes."""
    return f"key-{secrets.token_hex(5)}"


def key_id(key: str) -> str:
    """What logs and rows may say of a key that is in no table: enough to tell keys apart, not to guess one."""
    return "key-" + digest_of(key)[:10]


def digest_of(key: str) -> str:
    """What is kept of a key: its SHA-256 in hexadecimal digits."""
    return hashlib.sha256(key.encode()).hexdigest()


def _checked(key: str) -> bool:
    if not key:
        return False
    advice = "make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
    if len(key) < _MIN_LENGTH:
        raise OperatorError(
            f"API_KEY holds a key of {len(key)} characters; at least {_MIN_LENGTH} are needed: {advice}"
        )
    if len(set(key)) < 8 or any(example in key.lower() for example in _EXAMPLES):
        raise OperatorError(f"API_KEY holds a key that is an example or can be guessed: {advice}")
    return True
