"""A Turno somewhere, as the command line reaches it: address and key checked, its refusals as one sentence."""

from urllib.parse import urlsplit

from shared.errors import OperatorError
from shared.loopback import is_loopback
from turno.client import Refused, Turno, TurnoError

_KEY_ADVICE = "give the key in TURNO_API_KEY or with --api-key; where Turno runs, it is API_KEY in its .env"
_ADVICE = {
    "unauthorized": _KEY_ADVICE,
    "scope-missing": "use a key with the scopes jobs:write and jobs:read",
    "host-refused": f"behind a proxy Turno needs an API_KEY; then {_KEY_ADVICE}",
    "unknown-route": "check the address: this path of it is not Turno's",
    "http-404": "check the address: what answers there may not be Turno",
    "rate-exceeded": "come back later, or have the key's rate raised",
    "quota-exceeded": "come back later, or have the key's quota raised",
    "queue-full": "come back later: too much is waiting there already",
}


def open_turno(url: str, api_key: str | None, *, timeout_seconds: float, retry_seconds: float) -> Turno:
    """The client for this address; proxies of the environment apply, except to this machine itself.

    Raises:
        OperatorError: address or key cannot be one.
    """
    key = (api_key or "").strip() or None
    try:
        return Turno(
            url.strip(),
            key,
            timeout_seconds=timeout_seconds,
            retry_seconds=retry_seconds,
            trust_env=not is_local(url),
        )
    except ValueError as error:
        raise OperatorError(str(error)) from error


def is_local(url: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        return is_loopback(urlsplit(url.strip()).hostname or "")
    except ValueError:
        return False


def advice(error: TurnoError) -> str:
    """What happened, and what the person at the terminal can do about it."""
    if isinstance(error, Refused) and error.code in _ADVICE:
        return f"{error.detail.rstrip('.')}: {_ADVICE[error.code]}."
    return str(error)
