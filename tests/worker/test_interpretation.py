"""Numbers become an answer, or a fault that says what is wrong with them."""

import numpy as np
import pytest

from shared.cards import Label
from shared.errors import ModelFault
from tests.worker.bench import card
from worker.interpretation import calibrated, class_probabilities, interpret_prediction


def _outputs(*values: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_a_softmax_head_is_read_in_label_order() -> None:
    answer = interpret_prediction(_outputs(0.25, 0.75), card())
    assert answer["predictions"] == [0.25, 0.75]
    assert (answer["predicted_class"], answer["confidence"]) == ("rust", 0.75)
    assert answer["probabilities"] == {"healthy": 0.25, "rust": 0.75}


def test_a_sigmoid_head_is_the_second_labels_probability() -> None:
    answer = interpret_prediction(_outputs(0.75), card(activation="sigmoid"))
    assert answer["probabilities"] == {"healthy": 0.25, "rust": 0.75}


@pytest.mark.parametrize(("best", "kind"), [(0.8, "diagnosed"), (0.79, "uncertain")])
def test_the_verdict_turns_at_the_cards_threshold(best: float, kind: str) -> None:
    verdict = interpret_prediction(_outputs(1 - best, best), card(diagnosed_at=0.7999))["verdict"]
    assert (verdict["kind"], verdict["class"], verdict["threshold"]) == (kind, "rust", 0.7999)
    assert verdict["reason"].endswith(".")


def test_sigmoids_of_their_own_are_brought_to_a_sum_of_one() -> None:
    answer = interpret_prediction(_outputs(0.2, 0.6), card(activation="sigmoid"))
    assert answer["predictions"] == pytest.approx([0.25, 0.75])
    assert interpret_prediction(_outputs(0, 0), card(activation="sigmoid"))["verdict"]["probability"] == 0.5


@pytest.mark.parametrize(
    ("logits", "expected"),
    [((0.0, np.log(3)), [0.25, 0.75]), ((900.0, 900 + np.log(3)), [0.25, 0.75]), ((-1e4, 1e4), [0, 1])],
)
def test_raw_numbers_become_their_softmax_however_large(logits: tuple[float, ...], expected: list[float]) -> None:
    assert class_probabilities(_outputs(*logits), card(activation="logits")) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("logit", "expected"), [(np.log(3), 0.75), (-np.log(3), 0.25), (-1e4, 0), (1e4, 1)])
def test_one_raw_number_is_the_second_labels_logit(logit: float, expected: float) -> None:
    found = class_probabilities(_outputs(logit), card(activation="logits"))
    assert found == pytest.approx([1 - expected, expected], abs=1e-6)


@pytest.mark.parametrize(
    ("activation", "outputs", "reason"),
    [
        ("logits", (0.25, 0.75), "probabilities already"),
        ("logits", (float("nan"), 1.0), "finite"),
        ("logits", (1.0, 2.0, 3.0), "3 outputs for 2 labels"),
        ("sigmoid", (-0.7,), "tanh"),
        ("sigmoid", (4.0, 0.1), "logits"),
    ],
)
def test_outputs_of_another_kind_than_the_card_says_are_refused(
    activation: str, outputs: tuple[float, ...], reason: str
) -> None:
    with pytest.raises(ModelFault, match=reason):
        interpret_prediction(_outputs(*outputs), card(activation=activation))


_PLACES = (Label("leaf"), Label("rust"), Label("wall", recognised=False), Label("sky", recognised=False))


@pytest.mark.parametrize(
    ("outputs", "kind", "label", "code"),
    [
        ((0.40, 0.05, 0.30, 0.25), "not_recognised", "wall", "not_recognised"),  # together they reach it
        ((0.20, 0.35, 0.45, 0.00), "uncertain", "wall", "perhaps_not_recognised"),
        ((0.28, 0.30, 0.21, 0.21), "uncertain", "rust", "not_sure_enough"),
        ((0.70, 0.00, 0.30, 0.00), "diagnosed", "leaf", "sure_enough"),
    ],
)
def test_all_that_the_model_is_not_for_counts_together_before_any_diagnosis(
    outputs: tuple[float, ...], kind: str, label: str, code: str
) -> None:
    contract = card(labels=_PLACES, not_recognised_at=0.5, diagnosed_at=0.6)
    verdict = interpret_prediction(_outputs(*outputs), contract)["verdict"]
    assert (verdict["kind"], verdict["class"], verdict["reason_code"]) == (kind, label, code)
    assert verdict["not_recognised_probability"] == pytest.approx(outputs[2] + outputs[3], abs=1e-4)
    assert (verdict["threshold"], verdict["not_recognised_threshold"]) == (0.6, 0.5)


def test_what_the_model_is_not_for_is_not_recognised_however_sure() -> None:
    labels = (Label("leaf"), Label("other", recognised=False, advice={"en": "Take another photo."}))
    verdict = interpret_prediction(_outputs(0.01, 0.99), card(labels=labels))["verdict"]
    assert (verdict["kind"], verdict["advice"]) == ("not_recognised", {"en": "Take another photo."})


@pytest.mark.parametrize(("temperature", "expected"), [(1, 0.8), (2, 2 / 3), (0.5, 16 / 17)])
def test_calibration_changes_the_verdict_and_never_the_models_numbers(temperature: float, expected: float) -> None:
    answer = interpret_prediction(_outputs(0.2, 0.8), card(temperature=temperature))
    assert answer["verdict"]["probability"] == pytest.approx(expected, abs=1e-4)
    assert answer["predictions"] == pytest.approx([0.2, 0.8])
    assert calibrated(_outputs(0.2, 0.8), temperature).sum() == pytest.approx(1)


@pytest.mark.parametrize("temperature", [0.01, 100])
def test_extreme_calibration_stays_a_number(temperature: float) -> None:
    assert np.isfinite(calibrated(_outputs(0, 1), temperature)).all()


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        ((0.5, 0.3, 0.2), "3 outputs for 2 labels"),
        ((1.0,), "1 outputs for 2 labels"),
        ((float("nan"), 1.0), "finite"),
        ((float("inf"), 0.0), "finite"),
        ((-0.5, 1.5), "no probabilities"),
        ((0.5, 0.6), "no probabilities.*sigmoid"),
        ((3.0, 9.0), "no probabilities.*logits"),
        ((-0.9, 0.8), "no probabilities.*tanh"),
    ],
)
def test_outputs_that_are_no_probabilities_are_refused(outputs: tuple[float, ...], reason: str) -> None:
    with pytest.raises(ModelFault, match=reason):
        interpret_prediction(_outputs(*outputs), card())
