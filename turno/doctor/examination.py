"""The order in which a service is looked at: what rests on a failed check is not looked at."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import typer

from turno.client import Model, Turno, TurnoError
from turno.doctor.bounded import TookTooLong, bounded
from turno.doctor.findings import Finding, State, all_well, as_json, fail, show, skip, warn
from turno.doctor.golden import RESULT_SECONDS, golden_path, photo_for
from turno.doctor.service import address, key, readiness, served
from turno.doctor.uploads import uploads
from turno.remote import advice

_CHECK_SECONDS = 20
_GOLDEN_SECONDS = RESULT_SECONDS + 30
_ADVICE = {"address": "Start Turno there (`make run`, `make stack`), or give its address in --url or TURNO_URL."}


def examine(
    turno: Turno, api_key: str | None, *, image: Path | None = None, expect: str | None = None, as_report: bool = False
) -> bool:
    """Looks at everything and prints what was found; whether nothing failed.

    Args:
        image: an own photo instead of the one that comes with Turno.
        expect: the class that must come back for it.
        as_report: print one JSON document instead of lines.
    """
    findings: list[Finding] = []
    for finding in _findings(turno, api_key, image, expect):
        findings.append(finding)
        if not as_report:
            show(finding)
    if as_report:
        typer.echo(as_json(turno.url, findings))
    elif all_well(findings):
        typer.echo("All is well.")
    else:
        failed = sum(finding.state is State.FAIL for finding in findings)
        typer.echo(f"{failed} of {len(findings)} checks failed.")
    return all_well(findings)


def _findings(turno: Turno, api_key: str | None, image: Path | None, expect: str | None) -> Iterator[Finding]:
    for name, check in (("address", lambda: address(turno)), ("key", lambda: key(turno, api_key))):
        found = _bounded(name, _CHECK_SECONDS, check)
        yield from found
        if not all_well(found):
            yield skip("the rest", f"cannot be looked at without this: {name}")
            return
    yield from _bounded("ready", _CHECK_SECONDS, lambda: readiness(turno))
    models: list[Model] = []

    def look() -> list[Finding]:
        model, found = served(turno)
        models.extend([model] if model else [])
        return found

    yield from _bounded("model", _CHECK_SECONDS, look)
    if models:
        photo = photo_for(models[0], image, expect)
        yield from _bounded("golden", _GOLDEN_SECONDS, lambda: golden_path(turno, models[0], photo))
    else:
        yield skip("golden", "needs a warm worker")
    slow = warn("uploads", f"6 MB did not get through in {_CHECK_SECONDS} s.", "Expect long uploads from here.")
    yield from _bounded("uploads", _CHECK_SECONDS, lambda: uploads(turno), slow)


def _bounded(
    name: str, seconds: float, check: Callable[[], Iterable[Finding]], late: Finding | None = None
) -> list[Finding]:
    try:
        return bounded(seconds, lambda: list(check()))
    except TookTooLong as error:
        return [late or fail(name, str(error), "Look at the network, the proxy, and the service's log.")]
    except TurnoError as error:
        return [fail(name, advice(error), _ADVICE.get(name, "Look at the service's log, and at the proxy before it."))]
