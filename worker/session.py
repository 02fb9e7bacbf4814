"""A session: what a worker does when its bell rings — batch after batch, until the line is empty or time is up."""

import time
from collections.abc import Callable, Sequence

from redis import RedisError

from shared.broker import Bell
from shared.jobs import Outcome
from shared.line import Line
from shared.logs import get_logger
from shared.settings import Settings
from worker.pulse import Pulse
from worker.runner import AIM, STOP, Ran, Runner

log = get_logger(__name__)

_SESSION_SECONDS = 2.0  # then the bell rings again, so that the parent can stop or recycle the child
_PAUSES_SECONDS = (1, 2, 4, 8, 16, 30)


class Sessions:
    """The sessions of one child."""

    def __init__(
        self,
        settings: Settings,
        runner: Runner,
        line: Line,
        bell: Bell,
        pulse: Pulse,
        tell: Callable[[Sequence[Outcome]], None],
    ) -> None:
        """Takes its parts; `tell` hears how jobs ended, after the commit."""
        self._settings = settings
        self._runner = runner
        self._line = line
        self._bell = bell
        self._pulse = pulse
        self._tell = tell
        self._faults = 0

    def run(self, model: str) -> None:
        """Drains the line of `model` for about two seconds; rings again if it may hold more."""
        end = time.monotonic() + _SESSION_SECONDS
        self._pulse.in_session = True
        try:
            while time.monotonic() < end:
                most = self._affordable()
                places = self._line.take(model, most)
                if not places:
                    return
                if len(places) == most:
                    self._bell.ring(model)  # there is more: idle workers join
                if left := self._run(list(places)):
                    self._line.put_back(model, {id_: places[id_] for id_ in left})
            self._bell.ring(model)
        except RedisError as error:
            log.warning("the line does not answer; the courier rings when it does", error=str(error))
        finally:
            self._pulse.in_session = False

    def _run(self, ids: list[str]) -> list[str]:
        """Runs these; the ids of those for which there was no time."""
        end = time.monotonic() + self._settings.batch_seconds * STOP
        try:
            ran = self._run_batch(ids)
            left = [claim.id for claim in ran.left]
            # what was not claimed with others is gone, a duplicate, or suspected of killing workers: alone, then
            claimed = {claim.id for claim in ran.claimed}
            alone = [id_ for id_ in ids if id_ not in claimed] if len(ids) > 1 else []
            for number, id_ in enumerate(alone, 1):
                self._run_batch([id_])
                if time.monotonic() > end:
                    left += alone[number:]
                    break
            self._faults = 0
            return left
        except Exception as fault:
            pause = _PAUSES_SECONDS[min(self._faults, len(_PAUSES_SECONDS) - 1)]
            self._faults += 1
            log.error("batch handed back", jobs=ids, pause_seconds=pause, exc_info=fault)
            time.sleep(pause)
            return []

    def _run_batch(self, ids: list[str]) -> Ran:
        started = time.monotonic()
        ran = self._runner.run_batch(ids)
        if ran.outcomes:
            if all(outcome.error_code is None for outcome in ran.outcomes):  # a refused image costs less than an answer
                self._pulse.measured((time.monotonic() - started) / len(ran.outcomes))
            self._tell(ran.outcomes)
        return ran

    def _affordable(self) -> int:
        """How many jobs cost at most the batch budget, as measured; one while nothing is measured."""
        if self._pulse.seconds_per_job is None:
            return 1
        affordable = int(self._settings.batch_seconds * AIM / max(self._pulse.seconds_per_job, 1e-6))
        return max(1, min(self._settings.batch_max, affordable))
