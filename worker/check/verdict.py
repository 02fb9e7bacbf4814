"""The verdict: which contract the photos support, how strong they are, and the exit code that says so to a script."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from worker.check.calibration import Calibration
from worker.check.contracts import Contract
from worker.check.evidence import Evidence, p_of_chance, too_few
from worker.check.photos import LabelledPhotos
from worker.check.search import Findings

SUPPORTED, ANOTHER_IS_BETTER, TOO_WEAK = 0, 1, 3  # 2 is a command that was not understood
_CHANCE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `turno models check` found."""

    clearly_better: Contract | None
    exit_code: int
    sentences: list[str]
    lines: list[str]  # of card.toml, as they should read
    checked: dict[str, Any]  # for the card


def exit_code_of(findings: Findings) -> int:
    """What the evidence amounts to."""
    if findings.best is not findings.declared or (findings.known and not findings.known.near):
        return ANOTHER_IS_BETTER
    if not works(findings.declared) or too_few(findings.declared):
        return TOO_WEAK
    return SUPPORTED


def works(evidence: Evidence) -> bool:
    """Whether the answers are better than chance."""
    return p_of_chance(evidence) < _CHANCE


def checked_entry(findings: Findings, measured: Calibration, found: LabelledPhotos) -> dict[str, Any]:
    """What goes into the card's [checked]."""
    declared, best, known = findings.declared, findings.best, findings.known
    code = exit_code_of(findings)
    outcome = {SUPPORTED: "supported", ANOTHER_IS_BETTER: "another contract is clearly better", TOO_WEAK: "too weak"}
    entry: dict[str, Any] = {
        "at": datetime.now(UTC).date().isoformat(),
        "contract": outcome[code],
        "photos": len(declared.truth),
        "contracts": len(findings.tried) + len(findings.screened_out),
        "balanced_accuracy": round(declared.balanced, 3),
        "expected_calibration_error": round(measured.error, 3),
    }
    if known:
        entry["contracts"] = max(entry["contracts"], known.tried)
        entry["recorded_answers"] = known.photos
        entry["recorded_shift"] = float(f"{known.declared_shift:.2g}")
    if known and not known.near:
        entry["contract"] = "recorded answers are not given again"
    if found.missing:
        entry["without_photos"] = found.missing
    if best is not declared:
        entry["better"] = best.contract.title(declared.contract)
        entry["better_balanced_accuracy"] = round(best.balanced, 3)
    return entry
