"""What the outputs are, by the last operation of the graph and by what the card says: the two must agree."""

from shared.errors import OperatorError
from shared.settings import Settings
from worker.facts import ModelFacts

_NO_PROBABILITIES = "tanh", "relu"


def require_activation(declared: str, facts: ModelFacts) -> None:
    """Passes an activation that the graph does not contradict; what the graph leaves open, the answers must show.

    Raises:
        OperatorError: says what the model ends in, and what would fit.
    """
    found, count = facts.activation, facts.outputs
    if found in _NO_PROBABILITIES:
        raise OperatorError(
            f"The model ends in {found}, so its outputs are no probabilities and no distribution: it cannot be served. "
            "Train it with softmax, or with sigmoid where two classes share one output."
        )
    if found == "softmax" and count == 1:
        raise OperatorError(
            "The model ends in a softmax over one output, which is 1 whatever the image shows: "
            "train it with sigmoid, or with one output for each class."
        )
    if found in (declared, "other") or (found, declared) == ("linear", "logits"):
        return
    if found == "linear":
        regression = " A regression, whose number stands for no class, cannot be served." if count == 1 else ""
        raise OperatorError(
            f"The model ends without an activation, so its outputs are raw numbers and not what {declared} gives: set "
            f'activation = "logits" (MODEL_ACTIVATION=logits), if training computed its loss from_logits.{regression}'
        )
    if declared == "logits":
        raise OperatorError(f"The activation is said to be logits, but the model itself ends in {found}: say {found}.")
    if found == "sigmoid":
        raise OperatorError(
            f"The model ends in {count} sigmoids, each a yes or no of its own that need not sum to one: set "
            'activation = "sigmoid" (MODEL_ACTIVATION=sigmoid), if just one class is right for each image.'
        )
    raise OperatorError(f"The activation is said to be {declared}, but the model itself ends in {found}: say {found}.")


def derive_activation(settings: Settings, facts: ModelFacts, derived: list[str], assumed: list[str]) -> str:
    """The activation of a bare file, with a note of where it is from.

    Raises:
        OperatorError: the file does not tell, or what the setting says does not fit.
    """
    activation = settings.model_activation
    if not activation:
        activation = "sigmoid" if facts.outputs == 1 else "softmax"
        if facts.activation == activation:
            derived.append(f"activation: {activation}, the model's last operation")
        else:
            assumed.append(f"activation: {activation}")
    require_activation(activation, facts)
    return activation
