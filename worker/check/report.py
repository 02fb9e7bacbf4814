"""The check's result as JSON, for programs."""

import json
from pathlib import Path
from typing import Any

from worker.check.answers import Answers
from worker.check.contracts import Contract
from worker.check.evidence import Evidence, compare
from worker.check.photos import LabelledPhotos
from worker.check.search import Findings
from worker.check.verdict import Verdict


def write_report(path: Path, verdict: Verdict, findings: Findings, found: LabelledPhotos, answers: Answers) -> None:
    """Writes everything that was found."""
    declared, known = findings.declared, findings.known
    document = {
        "exit_code": verdict.exit_code,
        "sentences": verdict.sentences,
        "card_lines": verdict.lines,
        "checked": verdict.checked,
        "declared": _evidence(declared, declared),
        "best": _evidence(findings.best, declared),
        "tried": [_evidence(evidence, declared) for evidence in findings.tried],
        "tried_on_some_photos": [contract.title(declared.contract) for contract in findings.screened_out],
        "recorded": known
        and {
            "photos": known.photos,
            "contract": known.contract.title(declared.contract),
            "largest_shift": known.shift,
            "largest_shift_as_declared": known.declared_shift,
            "alike": known.alike,
        },
        "photos": {
            "files_by_label": found.found,
            "used": len(declared.truth),
            "unknown_folders": found.unknown,
            "labels_without": found.missing,
            "undecodable": answers.undecodable,
            "doubled": found.doubled,
        },
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _evidence(evidence: Evidence, declared: Evidence) -> dict[str, Any]:
    comparison = compare(declared, evidence)
    return {
        "contract": evidence.contract.title(declared.contract),
        "changes": _changes(evidence.contract, declared.contract),
        "balanced_accuracy": round(evidence.balanced, 4),
        "plus_or_minus": round(evidence.whisker, 4),
        "recall": {label: round(recall, 4) for label, recall in evidence.recalls.items()},
        "log_likelihood": round(float(evidence.log_likelihoods.mean()), 4),
        "temperature": round(evidence.temperature, 3),
        "p_accuracy": comparison.p_accuracy,
        "p_likelihood": comparison.p_likelihood,
        "nats_as_sure": round(comparison.nats_as_sure, 1),
        "less_unsure": round(comparison.less_unsure, 2),
        "confusion": evidence.confusion.tolist(),
    }


def _changes(contract: Contract, declared: Contract) -> dict[str, str]:
    return {entry: contract.value(entry) for entry in contract.changes(declared)}
