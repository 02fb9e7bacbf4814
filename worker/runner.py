"""What happens to one batch of jobs, start to end."""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from shared import jobstore
from shared.database import Database
from shared.errors import ImageMissing, ImageUndecodable, ModelFault
from shared.imagefile import open_image
from shared.images import ImageStore
from shared.jobs import Claim, Outcome
from shared.logs import get_logger
from shared.settings import Settings
from worker.interpretation import interpret_prediction
from worker.preprocessing import Float32Array, preprocess_image_for_prediction
from worker.pulse import Pulse
from worker.registry import ServedModel

log = get_logger(__name__)


@dataclass
class Hand:
    """The batch in hand: what was claimed, what is ready for the model, what has already ended."""

    claims: list[Claim]
    started: float = field(default_factory=time.perf_counter)
    inputs: list[Float32Array] = field(default_factory=list)
    ready: list[tuple[Claim, float]] = field(default_factory=list)  # with the milliseconds until decoded
    outcomes: list[Outcome] = field(default_factory=list)

    def elapsed_ms(self) -> float:
        """Milliseconds since the claim."""
        return round((time.perf_counter() - self.started) * 1000, 1)


class Runner:
    """Runs batches with one warm model, in the name of one owner."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        images: ImageStore,
        model: ServedModel,
        pulse: Pulse,
        tell: Callable[[Sequence[Claim]], None] = lambda _: None,
    ) -> None:
        """Takes its parts; `tell` hears what was claimed, after the commit."""
        self._settings = settings
        self._database = database
        self._images = images
        self._model = model
        self._pulse = pulse
        self._tell = tell

    def run_batch(self, ids: Sequence[str]) -> list[Outcome]:
        """Claims these jobs, runs those it got, and records how each ended; returns what was recorded.

        A fault of the image ends its own job. A fault of SQL, of the image store or of the engine is
        nobody's: the batch goes back into the line, uncounted, and the fault is raised.
        """
        owner, lease = self._pulse.owner, self._settings.lease_seconds
        claims = self._database.write(lambda connection: jobstore.claim(connection, ids, owner, lease))
        if not claims:
            return []
        hand = Hand(claims)
        with self._pulse.holding(claims):
            try:
                self._tell(claims)
                self._decode(hand)
                self._infer(hand)
                landed = self._database.write(
                    lambda connection: jobstore.finish(connection, hand.outcomes), durable=True
                )
            except Exception:
                self._pulse.hand_back(claims)
                raise
        if len(landed) < len(hand.outcomes):
            late = {outcome.claim.id for outcome in hand.outcomes} - {outcome.claim.id for outcome in landed}
            log.warning("result dropped: canceled, or its claim was no longer the latest", jobs=sorted(late))
        return landed

    def _decode(self, hand: Hand) -> None:
        for claim, data in zip(hand.claims, self._read_all(hand.claims), strict=True):
            if isinstance(data, OSError):
                self._images.require_readable()  # else the fault is the store's, and every image would share it
                log.error("job failed", job=claim.id, code=ImageMissing.code, exc_info=data)
                hand.outcomes.append(_failed(claim, ImageMissing()))
                continue
            try:
                with open_image(io.BytesIO(data)) as image:
                    hand.inputs.append(preprocess_image_for_prediction(image, self._model.card))
            except Exception as error:  # whatever a decoder raises, it is this image's fault
                log.warning("job failed", job=claim.id, code=ImageUndecodable.code, exc_info=error)
                hand.outcomes.append(_failed(claim, ImageUndecodable()))
            else:
                hand.ready.append((claim, hand.elapsed_ms()))

    def _read_all(self, claims: list[Claim]) -> Iterator[bytes | OSError]:
        """The bytes of each image; from a store far away several at once, but never a whole large batch."""
        if (step := self._images.readers) == 1:
            yield from map(self._read, claims)
            return
        with ThreadPoolExecutor(step) as pool:
            for at in range(0, len(claims), step):
                yield from pool.map(self._read, claims[at : at + step])

    def _read(self, claim: Claim) -> bytes | OSError:
        try:
            with self._images.open(claim.id) as file:
                return file.read()
        except OSError as error:
            return error

    def _infer(self, hand: Hand) -> None:
        if not hand.ready:
            return
        outputs = self._predict(hand.inputs)
        inferred_ms = hand.elapsed_ms()
        for (claim, decoded_ms), row in zip(hand.ready, outputs, strict=True):
            try:
                if row is None:
                    raise ModelFault
                answer = interpret_prediction(row, self._model.card)
            except ModelFault as fault:
                log.error("job failed", job=claim.id, code=fault.code, exc_info=fault)
                hand.outcomes.append(_failed(claim, fault))
                continue
            stages = {"decoded": decoded_ms, "inferred": inferred_ms}
            hand.outcomes.append(Outcome(claim, {**answer, "model": self._model.receipt, "stages_ms": stages}))

    def _predict(self, inputs: list[Float32Array]) -> list[Float32Array | None]:
        """Raw outputs, one for each input; None for one that the engine fails on while it takes others.

        Raises:
            Exception: the engine fails on everything.
        """
        try:
            outputs = self._model.engine.predict(np.stack(inputs))
            if len(outputs) != len(inputs):
                raise ModelFault(f"{len(inputs)} images went in, {len(outputs)} answers came out. This is a bug.")
            return list(outputs)
        except Exception as fault:
            if len(inputs) > 1:
                log.warning("the engine failed on a batch; its images are run one by one", exc_info=fault)
                return [row for one in inputs for row in self._predict([one])]
            self._model.engine.predict(np.zeros_like(inputs[0])[np.newaxis])
            return [None]


def _failed(claim: Claim, error: ImageMissing | ImageUndecodable | ModelFault) -> Outcome:
    return Outcome(claim, error_code=error.code, error_detail=error.detail)
