"""The check: labelled photos go through the declared contract and the plausible wrong ones.

Exit codes of `turno models check`:
0  the photos support the declared contract: at least 20 of each label that has any, answered better than by chance,
   and no other contract is clearly better (differences that the photos cannot tell are said, not guessed).
1  another contract is clearly better: significantly so on the same photos, and by an effect worth an alarm. The
   sentences name it, and the lines of card.toml to change. Or: recorded answers are not given again under any.
3  the evidence is too weak to say anything: too few photos of a label, photos of one label only, or answers that are
   no better than chance under every contract.
"""

from pathlib import Path

from shared.errors import OperatorError
from worker.check.answers import Answers, Show
from worker.check.calibration import calibration
from worker.check.contracts import Contract
from worker.check.photos import LabelledPhotos, find_photos
from worker.check.recorded import read_recorded
from worker.check.report import write_report
from worker.check.reproduction import reproduce
from worker.check.search import Findings, Search
from worker.check.sentences import describe
from worker.check.verdict import Verdict, checked_entry, exit_code_of
from worker.registry import ServedModel

__all__ = ["Contract", "Verdict", "run_check"]


def run_check(
    model: ServedModel,
    photos: Path,
    *,
    most: int = 40,
    picture: Path | None,
    report: Path | None,
    show: Show,
    swapped: ServedModel | None = None,
    recorded: Path | None = None,
) -> Verdict:
    """Which contract the labelled photos support.

    Args:
        model: as it is served.
        photos: holds a folder of photos for each label, called like the label.
        most: photos of each label that are looked at.
        picture: where to write a PNG that shows the findings.
        report: where to write them as JSON.
        show: is called with the answers computed, those to compute in all, and what is done now.
        swapped: the same model with width and height exchanged, if it takes such pictures.
        recorded: a file of answers that the author's code got for some of the photos.

    Raises:
        OperatorError: the photos or answers cannot be used; the sentence says why.
    """
    declared = Contract(model.card)
    found = find_photos(photos, model.card, most)
    known = reproduce(model, read_recorded(recorded, photos, model.card), show, swapped) if recorded else None
    answers = Answers(model, found.photos, show, swapped)
    answers.plan(len(found.photos))
    answers.first(declared)
    findings = Search(answers, declared).run(known)
    measured = calibration(findings.declared)
    better = findings.best.contract if findings.best is not findings.declared else None
    verdict = Verdict(
        clearly_better=better,
        exit_code=exit_code_of(findings),
        sentences=describe(findings, found, answers, measured),
        lines=better.lines(declared) if better else [],
        checked=checked_entry(findings, measured, found),
    )
    _write(verdict, findings, found, answers, picture=picture, report=report)
    return verdict


def _write(
    verdict: Verdict,
    findings: Findings,
    found: LabelledPhotos,
    answers: Answers,
    *,
    picture: Path | None,
    report: Path | None,
) -> None:
    try:
        if report:
            write_report(report, verdict, findings, found, answers)
        if picture:
            from worker.check.picture import draw  # matplotlib takes a second

            draw(picture, findings, answers)
    except OSError as error:
        raise OperatorError(f"The findings cannot be written to {error.filename}: {error.strerror}.") from error
