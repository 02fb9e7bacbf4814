"""Whatever a job carries, a message of it is JSON below 20 kB, and what was left out of it is named."""

from typing import Any

from shared.database import Database
from shared.errors import ImageUndecodable
from shared.hooks import ENDS
from shared.jobs import Outcome
from tests.contract.told import bodies, hook, log
from tests.shared.make import RESULT, add, claim, finish

_MAX_BYTES = 20_000
_LEAF = "\U0001f342"  # four bytes, and two escapes of six characters
_CLASSES = {
    **RESULT,
    "predictions": [0.00012345678901234567] * 1000,
    "probabilities": [{"label": f"{_LEAF}{number}", "probability": 1 / 3} for number in range(1000)],
}
_SMALL = {"plot": "7b"}
_LARGE = {"note": _LEAF * 4500}
_HUGE = {**RESULT, "receipt": {"note": _LEAF * 6000}}


_PREDICTIONS, _PROBABILITIES = "result.predictions", "result.probabilities"
# metadata, result, and what is left out of them
_CASES: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
    (_SMALL, RESULT, []),
    ({"note": "x" * 15_000}, RESULT, []),
    (_SMALL, _CLASSES, [_PREDICTIONS, _PROBABILITIES]),
    (_SMALL, {**_CLASSES, "probabilities": []}, [_PREDICTIONS]),
    ({"note": "x" * 20_000}, RESULT, ["metadata"]),
    (_LARGE, _CLASSES, [_PREDICTIONS, _PROBABILITIES]),
    ({"note": _LEAF * 6000}, _CLASSES, [_PREDICTIONS, _PROBABILITIES, "metadata"]),
    (_SMALL, _HUGE, ["metadata", "result"]),
    ({"note": _LEAF * 16_000}, _HUGE, ["metadata", "result"]),
]


def test_a_result_is_told_below_20_kb_and_what_is_left_out_is_named(database: Database) -> None:
    for number, (metadata, result, _) in enumerate(_CASES):
        add(database, f"{number}", metadata=metadata, **hook(*ENDS))
        finish(database, *[Outcome(one, result) for one in claim(database, f"{number}")])
    assert all(len((one.payload or "").encode()) < _MAX_BYTES for one in log(database))
    for (metadata, result, omitted), body in zip(_CASES, bodies(database), strict=True):
        data = body["data"]
        assert data.get("omitted", []) == omitted
        assert data["metadata"] == (None if "metadata" in omitted else metadata)
        if "result" in omitted:
            assert data["result"] is None
            continue
        assert data["result"]["predicted_class"] == result["predicted_class"]
        for name in ("predictions", "probabilities"):
            assert data["result"].get(name) == (None if f"result.{name}" in omitted else result.get(name))


def test_a_job_without_a_result_leaves_none_out(database: Database) -> None:
    add(database, "a", metadata={"note": _LEAF * 6000}, **hook())
    finish(database, *[Outcome(one, error_code=ImageUndecodable.code) for one in claim(database, "a")])
    for body in bodies(database):
        assert body["data"]["omitted"] == ["metadata"]
        assert (body["data"]["metadata"], body["data"]["result"]) == (None, None)


def test_everything_at_its_longest_is_still_below_20_kb(database: Database) -> None:
    long = {"filename": _LEAF * 255, "client_id": "x" * 100, "metadata": {"\x00" * 9: "\x00" * 5000}}
    add(database, "a", model="m" * 100, **{**long, **hook(), "webhook_url": "https://own.example/" + "x" * 2028})
    finish(database, *[Outcome(one, error_code="c" * 64, error_detail="\x01" * 500) for one in claim(database, "a")])
    sizes = [len((one.payload or "").encode()) for one in log(database)]
    assert len(sizes) == 2
    assert max(sizes) < _MAX_BYTES


def test_no_character_of_metadata_keeps_a_job_from_its_end(database: Database) -> None:
    metadata = {"nul": "\x00", "\x00": [_LEAF, "\x1f\x7f", "  ", "￾￿"], "escaped": "\\u0000 \\ud83c"}
    add(database, "a", metadata=metadata, filename="hoja ñ 葉.jpg", **hook())
    finish(database, *[Outcome(one, RESULT) for one in claim(database, "a")])
    assert [one["data"]["metadata"] for one in bodies(database)] == [metadata] * 2
    assert bodies(database)[-1]["data"]["result"]["filename"] == "hoja ñ 葉.jpg"
