"""What a receiver answered to a webhook, and what is made of it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_EXCERPT_CHARACTERS = 500


@dataclass(slots=True)
class Answer:
    """As much of an answer as has come."""

    status: int | None = None
    retry_after: str = ""
    body: bytes = b""

    def error(self) -> str | None:
        """Why it does not count as delivered, once it has come."""
        if self.status and self.status // 100 == 2:
            return None
        return "redirects are not followed" if self.status and self.status // 100 == 3 else f"answered {self.status}"

    def excerpt(self) -> str | None:
        """How its body begins, fit to be stored and shown: nothing in it controls a terminal or turns text around."""
        text = "".join(one if one.isprintable() else " " for one in self.body.decode(errors="replace"))
        return text[:_EXCERPT_CHARACTERS].strip() or None

    def retry_after_seconds(self, now: datetime) -> float | None:
        """When it wants to be asked again; RFC 9110 gives Retry-After as seconds or as a date."""
        if self.status not in (429, 503):
            return None
        if re.fullmatch("[0-9]{1,9}", self.retry_after):
            return float(self.retry_after)
        try:
            date = parsedate_to_datetime(self.retry_after)
            date = date if date.tzinfo else date.replace(tzinfo=UTC)  # as in the C library's form
            return max((date - now).total_seconds(), 0.0)
        except (ValueError, OverflowError):  # no date
            return None
