"""What a caller may ask for beside the image, as a form's fields."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def form_fields(
    model: str | None,
    priority: str,
    deadline_seconds: int | None,
    metadata: Mapping[str, Any] | None,
    keep: str | None,
    webhook_url: str | None,
    webhook_events: Sequence[str] | None,
) -> dict[str, str]:
    """The fields for what was asked for; the service decides on the rest."""
    fields = {
        "model": model,
        "priority": priority,
        "deadline_seconds": None if deadline_seconds is None else str(deadline_seconds),
        "metadata": None if metadata is None else json.dumps(metadata),
        "keep": keep,
        "webhook_url": webhook_url,
        "webhook_events": None if webhook_events is None else ",".join(webhook_events),
    }
    return {name: value for name, value in fields.items() if value is not None}
