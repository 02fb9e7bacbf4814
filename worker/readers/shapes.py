"""What an image classifier takes and gives, and the refusal of what is none, with what was found."""

from collections.abc import Sequence

from worker.readers import Unreadable

Shape = tuple[int | None, ...] | None  # None: any rank
ImageShape = tuple[int | None, int | None, int | None, int]
_CLASSIFIER = "an image classifier takes one (N, height, width, 1 or 3)"


def require_image_input(inputs: Sequence[tuple[str, Shape]]) -> ImageShape:
    """The shape of the one input, given all of them with their names.

    Raises:
        Unreadable: there are several, or it is no image.
    """
    if len(inputs) != 1:
        raise Unreadable(f"it has {len(inputs)} inputs, {_listed(inputs)}: {_CLASSIFIER}")
    ((name, shape),) = inputs
    if shape is None or len(shape) != 4:
        raise Unreadable(f"its input {name} is {_text(shape)}: {_CLASSIFIER}")
    if shape[3] not in (1, 3):
        first = " (channels stand first: convert it to channels_last)" if shape[1] in (1, 3) else ""
        raise Unreadable(f"its input {name} is {_text(shape)}{first}: {_CLASSIFIER}")
    return (shape[0], shape[1], shape[2], shape[3])


def require_class_outputs(outputs: Sequence[tuple[str, Shape]]) -> int:
    """The number of outputs, given all output tensors with their names; (N, 1, 1, C) counts as C.

    Raises:
        Unreadable: there are several tensors, or it is not one number for each class.
    """
    gives = "a classifier gives one list of numbers, (N, classes)"
    if len(outputs) != 1:
        raise Unreadable(
            f"it has {len(outputs)} outputs, {_listed(outputs)}: {gives}; if one of them is that, save "
            "keras.Model(model.input, that output)"
        )
    ((name, shape),) = outputs
    if shape is None or len(shape) < 2 or shape[-1] is None or any(size != 1 for size in shape[1:-1]):
        raise Unreadable(f"its output {name} is {_text(shape)}: {gives}")
    return shape[-1]


def _listed(tensors: Sequence[tuple[str, Shape]]) -> str:
    return ", ".join(f"{name} {_text(shape)}" for name, shape in tensors) or "none"


def _text(shape: Shape) -> str:
    if shape is None:
        return "of any shape"
    return f"({', '.join('any' if size is None else str(size) for size in shape)})"
