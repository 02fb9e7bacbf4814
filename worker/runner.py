"""What happens to one batch of jobs, start to end."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import sqlalchemy as sa

from shared import jobstore
from shared.database import Database
from shared.errors import ModelFault
from shared.images import ImageStore
from shared.jobs import Claim, Outcome
from shared.logs import get_logger
from shared.settings import Settings
from worker.decoding import Chunk, Decoder, failed
from worker.interpretation import interpret_prediction
from worker.preprocessing import Float32Array
from worker.pulse import Pulse
from worker.registry import ServedModel

log = get_logger(__name__)

# of a batch's seconds: so much work is taken by what was measured, and after so much no image is begun any more
AIM, STOP = 0.8, 0.9


@dataclass
class Ran:
    """What became of a batch."""

    claimed: list[Claim]
    outcomes: list[Outcome] = field(default_factory=list)  # at the end those that counted
    left: list[Claim] = field(default_factory=list)  # handed back for lack of time


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
        self._model = model
        self._pulse = pulse
        self._tell = tell
        self._receipt = model.receipt
        self._decoder = Decoder(images, model.card, model.engine.micro_batch, ahead=settings.worker_threads - 1)

    def warm_up(self) -> None:
        """Runs what a first job would otherwise wait for: the statements are compiled, the decoders loaded."""
        nobody = Claim("-", 0, "-")
        for ids in (["-"], ["-", "-"]):
            self._database.write(partial(jobstore.claim, ids=ids, owner="-", lease_seconds=1))
        self._database.write(partial(jobstore.finish, outcomes=[Outcome(nobody)]))
        self._decoder.warm_up()

    def run_batch(self, ids: Sequence[str]) -> Ran:
        """Claims these jobs, runs those it got, and records how each ended.

        What is not begun when the batch's time is up goes back into the line, uncounted: jobs may cost more than
        those that were measured, and somebody may wait behind them. A fault of the image ends its own job. A fault
        of SQL, of the image store or of the engine is nobody's: the whole batch goes back, and the fault is raised.
        """
        owner, lease = self._pulse.owner, self._settings.lease_seconds
        started = time.perf_counter()
        ran = Ran(self._database.write(lambda connection: jobstore.claim(connection, ids, owner, lease)))
        if not ran.claimed:
            return ran
        with self._pulse.holding(ran.claimed):
            try:
                self._tell(ran.claimed)
                for chunk in self._decoder.chunks(ran.claimed, until=started + self._settings.batch_seconds * STOP):
                    ran.outcomes += chunk.faults
                    ran.outcomes += self._answer(chunk, started)
                self._record(ran)
            except Exception:
                self._pulse.hand_back(ran.claimed)
                raise
        return ran

    def _record(self, ran: Ran) -> None:
        ended = {outcome.claim.id for outcome in ran.outcomes}
        ran.left = [claim for claim in ran.claimed if claim.id not in ended]

        def record(connection: sa.Connection) -> list[Outcome]:
            jobstore.hand_back(connection, ran.left)
            return jobstore.finish(connection, ran.outcomes)

        ran.outcomes = self._database.write(record, durable=True)
        if late := ended - {outcome.claim.id for outcome in ran.outcomes}:
            log.warning("result dropped: canceled, or its claim was no longer the latest", jobs=sorted(late))

    def _answer(self, chunk: Chunk, started: float) -> Iterator[Outcome]:
        if not chunk.decoded:
            return
        outputs = self._predict(chunk.inputs)
        inferred_ms = _ms_since(started, time.perf_counter())
        for decoded, row in zip(chunk.decoded, outputs, strict=True):
            try:
                if row is None:
                    raise ModelFault
                answer = interpret_prediction(row, self._model.card)
            except ModelFault as fault:
                log.error("job failed", job=decoded.claim.id, code=fault.code, exc_info=fault)
                yield failed(decoded.claim, fault)
                continue
            stages = {"decoded": _ms_since(started, decoded.moment), "inferred": inferred_ms}
            result = {**answer, "hints": decoded.hints, "model": self._receipt, "stages_ms": stages}
            yield Outcome(decoded.claim, result)

    def _predict(self, inputs: Float32Array) -> list[Float32Array | None]:
        """Raw outputs, one for each input; None for one that the engine fails on while it takes others.

        Raises:
            Exception: the engine fails on everything.
        """
        try:
            outputs = self._model.engine.predict(inputs)
            if len(outputs) != len(inputs):
                raise ModelFault(f"{len(inputs)} images went in, {len(outputs)} answers came out. This is a bug.")
            return list(outputs)
        except Exception as fault:
            if len(inputs) > 1:
                log.warning("the engine failed on a batch; its images are run one by one", exc_info=fault)
                return [row for at in range(len(inputs)) for row in self._predict(inputs[at : at + 1])]
            self._model.engine.predict(np.zeros_like(inputs))
            return [None]


def _ms_since(started: float, moment: float) -> float:
    return round((moment - started) * 1000, 1)
