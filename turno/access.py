"""Who can reach the service: loopback or the network, the key the network needs, the address a phone types."""

import contextlib
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from shared.errors import OperatorError
from shared.keys import KeyRing, table_has_live_key
from shared.loopback import is_loopback
from shared.settings import Settings

_KEY_BYTES = 32
_ROUTABLE = ("192.0.2.1", 9)  # reserved for documentation; connecting a UDP socket sends nothing


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key that was made here because none was set."""

    value: str
    path: Path
    new: bool  # made at this very start, so its owner has not seen it yet


def local_address(host: str) -> str:
    """The address at which this machine itself reaches a service that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104  compared, not bound


def phone_address(host: str) -> str | None:
    """The address another device types; None on loopback or when this machine has no network."""
    if is_loopback(host):
        return None
    if local_address(host) == host:
        return host
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(_ROUTABLE)
        address = str(probe.getsockname()[0])
        return None if is_loopback(address) else address
    return None


def web_address(host: str, port: int) -> str:
    """The URL of the page at `host`."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def key_for(settings: Settings) -> MadeKey | None:
    """The key to use where the network reaches us and none is set: kept in the state folder, made when not there.

    None is made where the database has one; one that was made before stays valid until its file is removed.

    Raises:
        OperatorError: the key can be neither read nor kept, or the one that is set is no good; the database cannot be
            read.
    """
    if KeyRing(settings.api_key.get_secret_value()) or is_loopback(settings.host):
        return None
    path = settings.state_dir / "api.key"
    try:
        if path.exists():
            value = path.read_text(encoding="ascii").strip()
            if len(value) >= _KEY_BYTES:
                return MadeKey(value, path, new=False)
            path.unlink()  # left behind by a start that ran out of disk
        if table_has_live_key(settings):
            return None
        value = secrets.token_urlsafe(_KEY_BYTES)
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(value + "\n", encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"The API key in {path} can be neither read nor made ({error}): set API_KEY.") from error
    return MadeKey(value, path, new=True)
