"""API keys: which are valid, and the short id by which logs and rows name one."""

import hashlib
import hmac

from shared.errors import OperatorError
from shared.loopback import is_loopback
from shared.settings import Settings

_MIN_LENGTH = 32
_EXAMPLES = ("change-me", "changeme", "your-api-key", "your_api_key", "example", "secret-key", "0123456789abcdef")
LOCAL_CALLER = "local"  # who asks when the service is open on its own machine


class KeyRing:
    """The keys of `API_KEY`, held as digests."""

    def __init__(self, keys: str) -> None:
        """Reads a comma-separated list.

        Raises:
            OperatorError: a key is too short, too uniform, or copied from an example.
        """
        self._digests = {_digest(key): key_id(key) for key in map(str.strip, keys.split(",")) if _checked(key)}

    def __bool__(self) -> bool:
        return bool(self._digests)

    def caller(self, key: str) -> str | None:
        """The id of a valid key, else None; takes as long for a near miss as for a wild one."""
        digest = _digest(key)
        found = None
        for known, name in self._digests.items():
            if hmac.compare_digest(known, digest):
                found = name
        return found


def required_keys(settings: Settings) -> KeyRing:
    """The keys of this deployment; none are needed where only this machine can ask.

    Raises:
        OperatorError: one is no good, or others can reach the service and there is none.
    """
    keys = KeyRing(settings.api_key.get_secret_value())
    if not keys and not is_loopback(settings.host):
        raise OperatorError(f"HOST is {settings.host}, which others can reach: set API_KEY, or listen on 127.0.0.1.")
    return keys


def key_id(key: str) -> str:
    """What logs and rows may say of a key: enough to tell keys apart, not to guess one."""
    return "key-" + _digest(key).hex()[:10]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


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
