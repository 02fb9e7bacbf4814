"""One webhook as it came to `turno listen`: whether it is genuine, whether it came before, and what it says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from standardwebhooks import Webhook, WebhookVerificationError

from turno.screen import harmless

_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
_REASONS = {  # what the library says, and what it means
    "Message timestamp too old": "too old: signed more than 5 minutes ago",
    "Message timestamp too new": "signed more than 5 minutes in the future: one of the two clocks is wrong",
    "Invalid Signature Headers": "its webhook-timestamp is no time",
    "No matching signature found": "wrong secret, or changed on the way",
}
_SHOWN = 200  # characters of what a sender chose
_IDS_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery; all of it but the verdict on its signature is its sender's word."""

    received_at: datetime
    id: str | None
    type: str | None
    verified: bool
    reason: str | None  # why it is not verified
    again: bool
    payload: Any  # None: no JSON

    def as_json(self) -> str:
        """One line of ASCII."""
        document = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({**document, "received_at": self.received_at.isoformat(timespec="milliseconds")})

    def as_text(self) -> str:
        """A line on the delivery, and below it one on what it says."""
        verdict = "verified" if self.verified else f"NOT VERIFIED ({self.reason})"
        facts = [
            f"{self.received_at.astimezone():%Y-%m-%d %H:%M:%S}",
            _shown(self.type or "(no type)"),
            _shown(self.id or "(no id)"),
            f"{verdict}, again" if self.again else verdict,
        ]
        return f"{'  '.join(facts)}\n    {_shown(_told(self.payload))}"


class Judge:
    """Receives deliveries, one at a time, and knows which came before."""

    def __init__(self, secret: str) -> None:
        """Takes the secret with which they are to be signed."""
        self._webhook = Webhook(secret)
        self._seen: dict[tuple[bool, str], None] = {}

    def receive(self, headers: Mapping[str, str], body: bytes) -> Received:
        """What to think of a delivery that came this moment."""
        named = {name.lower(): value for name, value in headers.items()}
        reason = self._distrust(named, body)
        id_, payload = named.get("webhook-id", "")[:_SHOWN] or None, _parsed(body)
        type_ = _at(payload, "type")
        return Received(
            received_at=datetime.now(UTC),
            id=id_,
            type=type_ if isinstance(type_, str) else None,
            verified=reason is None,
            reason=reason,
            again=id_ is not None and self._came_before(reason is None, id_),
            payload=payload,
        )

    def _distrust(self, headers: dict[str, str], body: bytes) -> str | None:
        if missing := [name for name in _HEADERS if not headers.get(name)]:
            return f"not signed: without {', '.join(missing)}"
        try:
            self._webhook.verify(body, headers, json_parse=False)
        except WebhookVerificationError as error:
            return _REASONS.get(str(error), str(error))
        except ValueError:  # the library does not expect a signature without a comma, or a body that is not UTF-8
            return "its signature or its body cannot be read"
        return None

    def _came_before(self, verified: bool, id_: str) -> bool:
        key = (verified, id_)  # what anybody may send does not make the genuine one a repetition
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > _IDS_REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return False


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _told(payload: Any) -> str:
    if payload is None:
        return "its body is not JSON"
    event, id_, counts = str(_at(payload, "type")), _at(payload, "data", "id"), _at(payload, "data", "counts")
    if event == "webhook.ping":
        return "a test"
    if not id_:
        return "nothing that Turno would say"
    what = f"{event.partition('.')[0]} {id_}"
    if _at(payload, "data", "erased"):
        return f"{what} was erased meanwhile"
    if isinstance(counts, dict):
        return f"{what}: {', '.join(f'{number} {status}' for status, number in counts.items() if number)}"
    outcome = _at(payload, "data", "result", "predicted_class") or _at(payload, "data", "error", "code")
    return f"{what} {_at(payload, 'data', 'status')}" + (f": {outcome}" if outcome else "")


def _at(document: Any, *path: str) -> Any:
    for name in path:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _shown(text: str) -> str:
    return harmless(text[:_SHOWN])
