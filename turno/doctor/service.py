"""Is it there, is it Turno, does it take the key, is it ready, what does it serve?"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from turno.client import Model, Refused, Turno
from turno.client.transport import Call
from turno.doctor.findings import Finding, fail, ok, warn
from turno.remote import is_local

_CLOCK_SECONDS = 30
_READY_ADVICE = {
    "line": "look whether Redis runs and REDIS_URL leads to it; it comes back by itself",
    "database": "look whether the database runs and DATABASE_URL leads to it",
    "images": "look whether the disk is full, and whether IMAGE_STORE or STATE_DIR can be written",
    "worker": "start a worker, or wait until it has its model warm; its log says what it does",
}
NEW_KEY = "make one with `turno keys create`, or take API_KEY from its .env, and give it in TURNO_API_KEY"


def get(turno: Turno, path: str, **headers: str) -> httpx.Response:
    """The answer, whatever its status.

    Raises:
        Unreachable
    """
    transport = turno.transport
    try:
        return transport.http.get(path, headers=headers, timeout=transport.timeout(0))
    except httpx.TransportError as error:
        raise transport.broken(error).error from error


def document(answer: httpx.Response) -> dict[str, Any]:
    """The answer's JSON object; an empty one when it has none."""
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def address(turno: Turno) -> Iterator[Finding]:
    """Whether something answers, that it is Turno, and whether the way there is a good one."""
    begun = time.monotonic()
    answer = get(turno, "/livez")
    elapsed_ms = (time.monotonic() - begun) * 1000
    if answer.is_redirect:
        to = answer.headers.get("Location", "elsewhere")[:200]
        yield fail(
            "address", f"{turno.url} redirects to {to}.", "Give the address of Turno itself in --url or TURNO_URL."
        )
        return
    if document(answer).get("alive") is not True:
        yield fail(
            "address",
            f"{turno.url} answers ({answer.status_code}), but is not Turno.",
            "Check --url or TURNO_URL, and where the proxy there leads to.",
        )
        return
    yield ok("address", f"{turno.url} answers in {elapsed_ms:.0f} ms")
    info = document(get(turno, "/openapi.json")).get("info")
    if isinstance(info, dict) and info.get("title") == "Turno":
        yield ok("version", f"Turno {info.get('version')}")
    else:
        yield warn("version", "It does not say which version it is.", "Let the proxy pass /openapi.json, too.")
    if turno.url.startswith("http://") and not is_local(turno.url):
        yield warn(
            "transport",
            "Key and images travel over plain http: everybody on the way can read them.",
            "Put a proxy with TLS in front (docs/deploy/proxy.md), and give its https:// address.",
        )
    yield from _clock(answer)


def key(turno: Turno, api_key: str | None) -> Iterator[Finding]:
    """Whether the key is taken, and may do what is needed."""
    try:
        turno.models()
    except Refused as refusal:
        if refusal.code == "unauthorized":
            said = "The key is not a valid one." if api_key else "It wants a key, and none was given."
            yield fail("key", said, f"Keys are asked for there: {NEW_KEY}.")
            return
        if refusal.code == "host-refused":
            yield fail("key", refusal.detail, "Without a key it answers on its own machine only: set API_KEY there.")
            return
        raise
    try:
        turno.transport.send(Call("GET", "/v1/jobs", params={"limit": "1"}))
    except Refused as refusal:
        if refusal.code != "scope-missing":
            raise
        yield fail("key", "The key is valid, but may not look at jobs.", f"It needs the scope jobs:read: {NEW_KEY}.")
        return
    yield ok("key", "accepted" if api_key else "none is needed from here")


def readiness(turno: Turno) -> Iterator[Finding]:
    """What /readyz says, one by one."""
    checks = document(get(turno, "/readyz")).get("checks")
    if not isinstance(checks, dict):
        yield fail("ready", "/readyz gives no answer of Turno's.", "Let the proxy pass /readyz as it is.")
        return
    for name, said in checks.items():
        if said == "ok":
            yield ok(name, "ok")
        else:
            yield fail(
                name, f"{said}.", f"On the machine that runs Turno: {_READY_ADVICE.get(name, 'look at its log')}."
            )


def served(turno: Turno) -> tuple[Model | None, list[Finding]]:
    """The model that serves, and what its card says."""
    models = turno.models()
    if not models or not models[0].ready:
        names = ", ".join(model.name for model in models) or "no model"
        return None, [fail("model", f"{names} is not served by any worker yet.", "Start a worker; its log says more.")]
    model = models[0]
    said = f"{model.name} {model.version or ''}: {model.engine}, {model.precision}, {model.workers} warm"
    findings = [ok("model", said)]
    if model.labels:
        findings.append(ok("labels", ", ".join(model.labels)))
    else:
        findings.append(fail("labels", "The card names no labels.", "Give it a card or LABELS (docs/model-card.md)."))
    return model, findings


def _clock(answer: httpx.Response) -> Iterator[Finding]:
    try:
        there = parsedate_to_datetime(answer.headers.get("Date", ""))
    except ValueError:
        return  # a proxy took it away; nothing depends on it
    ahead_seconds = (there - datetime.now(UTC)).total_seconds()
    if abs(ahead_seconds) < _CLOCK_SECONDS:
        yield ok("clock", "the same as here")
        return
    way = "ahead of" if ahead_seconds > 0 else "behind"
    yield warn("clock", f"Its clock is {abs(ahead_seconds):.0f} s {way} ours.", "Switch on NTP on both machines.")
