"""SavedModels of TensorFlow 1 and 2, of Keras 2 and of Keras 3's `export`: their serving signature as a model."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.engines.tensorflow import SIGNATURE, tf
from worker.readers import Opened, Unreadable
from worker.readers.graphs import without_batch_size

_SERVING = (SIGNATURE, "serve")  # the second: Keras 3's `export`


@dataclass(frozen=True, slots=True)
class Signature:
    """A serving signature that is called as a Keras model is: with one batch of float32."""

    loaded: Any  # the variables live as long as what was loaded
    compute: Callable[[Any], Any]
    inputs: list[Any]
    outputs: list[Any]

    def __call__(self, batch: Any, *, training: bool) -> Any:
        """Its answers; what takes whole numbers gets whole numbers."""
        kind = self.inputs[0].dtype
        whole = tf.clip_by_value(tf.round(batch), 0, 255) if kind.is_integer else batch
        return self.compute(tf.cast(whole, kind))


def open_saved_model(folder: Path) -> Opened:
    """The model in a SavedModel folder.

    Raises:
        Unreadable: it is damaged, or has no signature that takes an image.
    """
    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:  # TensorFlow raises whatever its parts raise
        first_line = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise Unreadable(f"TensorFlow cannot load it ({first_line}): copy or export the whole folder again") from error
    name = _serving(list(loaded.signatures))
    traced = loaded.signatures[name]
    arguments = traced.structured_input_signature[1]
    inputs = list(arguments.values())
    outputs = [tf.TensorSpec(one.shape, one.dtype, label) for label, one in traced.structured_outputs.items()]
    notes = [] if name == SIGNATURE else [f"its signature {name} is served"]

    def compute(batch: Any) -> Any:
        return traced(**dict.fromkeys(arguments, batch))

    called: Callable[[Any], Any] = compute
    if len(inputs) == 1 and inputs[0].shape.rank:
        (spec,) = inputs
        if not (spec.dtype.is_floating or spec.dtype.is_integer):
            raise Unreadable(f"its signature {name} takes {spec.dtype.name}, not the numbers of an image")
        if spec.shape[0] is not None:
            called, inputs[0], note = _for_any_batch(compute, traced, spec)
            notes.append(note)
    return Opened(Signature(loaded, called, inputs, outputs), f"tensorflow {tf.__version__}", tuple(notes))


def _for_any_batch(compute: Callable[[Any], Any], traced: Any, spec: Any) -> tuple[Callable[[Any], Any], Any, str]:
    """What computes for any number of images, or else for one; what that takes, and a note for people."""
    size = spec.shape[0]
    if (lifted := without_batch_size(compute, traced)) is not None:
        return lifted, tf.TensorSpec((None, *spec.shape[1:]), spec.dtype, spec.name), f"batch size {size} lifted"

    def filled(batch: Any) -> Any:
        return tf.nest.flatten(compute(tf.repeat(batch[:1], size, 0)))[0][:1]

    return filled, spec, f"batch size {size} is fixed, so each image is computed {size} times over"


def _serving(names: list[str]) -> str:
    known = [name for name in _SERVING if name in names] or [name for name in names if not name.startswith("_")]
    if not known:
        raise Unreadable(
            "it has no serving signature: export it with model.export(folder), or name one in "
            "tf.saved_model.save(model, folder, signatures=…)"
        )
    if len(known) > 1 and known[0] not in _SERVING:
        raise Unreadable(f"it has several signatures, {', '.join(sorted(known))}: export it with model.export(folder)")
    return known[0]
