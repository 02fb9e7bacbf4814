"""The TensorFlow half of `prepare`, in a process of its own that gives its memory back when it ends.

`python -m worker.convert DIGEST TARGET` reads the settings as JSON from stdin, and writes into the folder TARGET
    converted.json            the card that fits the model, and what is to be known of the conversion
    probe.npy, keras.npy      inputs, and the answers of the author's framework: what every engine must reproduce
    saved_model/              the inference graph, or model.tflite: what OpenVINO reads, and serves where it cannot
"""

import json
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from shared.cards import Card
from shared.errors import OperatorError
from shared.settings import Settings
from worker.contract import derive_card, require_fit, warnings_of
from worker.conversion import CONVERTED, STEP, UNSERVABLE
from worker.engines.tensorflow import compute_with
from worker.facts import ModelFacts
from worker.formats import Format, find_format
from worker.preprocessing import Float32Array
from worker.probes import largest_shift, odd_images, probe_images, require_probabilities, require_recorded
from worker.readers import Unreadable
from worker.served import Source, find_source

_EXPORT_TOLERANCE = 1e-4  # of any probability: what is exported computes the same in another order at most
_ASKED_TWICE = 3  # images whose answers must not change


class Network(Protocol):
    """An opened model of any format."""

    library: str  # that opened it
    notes: tuple[str, ...]  # what was repaired
    facts: ModelFacts

    def answer(self, images: Float32Array, card: Card) -> Float32Array:
        """What the author's own framework answers; float32, shape (N, outputs)."""
        ...

    def export(self, target: Path, images: Float32Array, card: Card) -> Float32Array:
        """Writes what is to be served, and gives what that answers."""
        ...


def convert(source: Source, settings: Settings, digest: str, target: Path) -> None:
    """Writes everything above for one model.

    Raises:
        Unreadable: the file cannot be opened or is no image classifier.
        OperatorError: it cannot be served, or not with this card.
    """
    with tempfile.TemporaryDirectory(dir=target) as scratch:
        network = open_network(source.file, settings, Path(scratch))
    facts = network.facts
    card = replace(source.card, sha256=digest) if source.card else derive_card(source, settings, digest, facts)
    require_fit(card, facts)
    probe = probe_images(card, source.golden)
    _say(f"asking {network.library} for its answers to {len(probe)} images")
    expected = _answers(network, probe, card)
    require_recorded(card, source.golden, expected)
    _say("exporting it")
    shift = largest_shift(network.export(target, probe, card), expected, card)
    if shift > _EXPORT_TOLERANCE:
        raise Unreadable(
            f"exported, it answers otherwise than before (by {shift:.2g}): this is a bug, please report it"
        )
    _write(target, card, network, shift, probe, expected)


def open_network(file: Path, settings: Settings, scratch: Path) -> Network:
    """The model in a file or folder, by its format.

    Raises:
        Unreadable: it cannot be opened, or is no image classifier.
    """
    kind = find_format(file)
    _say(f"opening it ({kind})")
    if kind is Format.TFLITE:
        from worker.readers.tflite import TfliteNetwork

        return TfliteNetwork(file, settings.worker_threads)
    from worker.readers.traced import TracedNetwork

    if kind is Format.SAVED_MODEL:
        from worker.readers.saved_model import open_saved_model

        return TracedNetwork(open_saved_model(file))
    if kind is Format.PICKLE:
        from worker.readers.pickled import unpickle_to_keras

        return open_network(unpickle_to_keras(file, scratch), settings, scratch)
    from worker.readers.keras import open_keras_file

    return TracedNetwork(open_keras_file(file, scratch))


def _answers(network: Network, probe: Float32Array, card: Card) -> Float32Array:
    """The framework's answers, which are probabilities and the same each time."""
    expected = network.answer(probe, card)
    require_probabilities(np.concatenate([expected, network.answer(odd_images(card), card)]), card)
    again = network.answer(probe[:_ASKED_TWICE], card)
    if (shift := largest_shift(again, expected[:_ASKED_TWICE], card)) > _EXPORT_TOLERANCE:
        raise Unreadable(
            f"the same image gets another answer each time (by {shift:.2g}): a layer is random at inference, such as "
            "augmentation, or Dropout called with training=True; save the model without it"
        )
    return expected


def _write(
    target: Path, card: Card, network: Network, shift: float, probe: Float32Array, expected: Float32Array
) -> None:
    np.save(target / "probe.npy", probe)
    np.save(target / "keras.npy", expected)
    told = {
        "card": asdict(card),
        "library": network.library,
        "notes": network.notes,
        "warnings": warnings_of(card, network.facts),
        "any_size": network.facts.width_px is None and network.facts.height_px is None,
        "exported_shift": shift,
    }
    (target / CONVERTED).write_text(json.dumps(told))


def _say(step: str) -> None:
    sys.stdout.write(f"{STEP}{step}\n")
    sys.stdout.flush()


def main(digest: str, target: str) -> int:
    """Converts the served model; 0, or `UNSERVABLE` with the reason as the last line of stderr."""
    settings = Settings(**json.load(sys.stdin))
    compute_with(settings.worker_threads)
    source = find_source(settings)
    try:
        convert(source, settings, digest, Path(target))
    except OperatorError as error:
        return _refuse(str(error))
    except Unreadable as error:
        return _refuse(f"MODEL_PATH: {source.file.name} cannot be served: {error}.")
    except Exception as error:  # frameworks raise whatever their parts raise
        first_line = (str(error).strip().splitlines() or ["no reason given"])[0][:300]
        return _refuse(f"MODEL_PATH: {source.file.name} cannot be served: {type(error).__name__}: {first_line}")
    return 0


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"\n{sentence}\n")
    return UNSERVABLE


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
