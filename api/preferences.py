"""What a caller prefers: the `Prefer` header (RFC 7240), and what the answer says was heeded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.request import parse_http_list

from fastapi import Depends, Header

WAIT_MAX_SECONDS = 60
_MOST_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Preferences:
    """The preferences that this service knows."""

    wait_seconds: int = 0  # 0: no wait was asked for
    respond_async: bool = False

    @property
    def applied(self) -> str | None:
        """The value of `Preference-Applied`; None when there is nothing to say."""
        names = ["respond-async"] if self.respond_async else []
        if self.wait_seconds:
            names.append(f"wait={self.wait_seconds}")
        return ", ".join(names) or None

    @property
    def headers(self) -> dict[str, str]:
        """`Preference-Applied`, where there is something to say."""
        return {"Preference-Applied": self.applied} if self.applied else {}


def parse_preferences(values: Sequence[str]) -> Preferences:
    """The preferences in all `Prefer` headers of a request; of one that stands there twice, the first counts."""
    found: dict[str, str] = {}
    # several headers mean what one with commas does (RFC 9110, 5.3)
    for one in parse_http_list(",".join(values)[:_MOST_CHARACTERS]):
        name, _, value = one.partition(";")[0].partition("=")  # neither of ours has parameters
        found.setdefault(name.strip().lower(), value.strip())
    wait = found.get("wait")
    return Preferences(0 if wait is None else _wait_seconds(wait), "respond-async" in found)


def _wait_seconds(value: str) -> int:
    if value.startswith('"') and value.endswith('"'):
        value = value[1:-1]
    if not value:  # no value and an empty one are the same (RFC 7240, 2)
        return WAIT_MAX_SECONDS
    return min(int(value), WAIT_MAX_SECONDS) if value.isascii() and value.isdecimal() else 0


PREFER = Header(
    description="`wait=N`: wait up to N seconds (1–60) for the end; `wait`: as long as we let you; "
    "`respond-async`: a ticket at once, or after the wait. `Preference-Applied` says what was heeded."
)


async def _of_request(prefer: Annotated[list[str] | None, PREFER] = None) -> Preferences:
    return parse_preferences(prefer or ())


Preferred = Annotated[Preferences, Depends(_of_request)]
