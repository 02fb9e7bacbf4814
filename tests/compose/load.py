"""A crowd at the door: submits photos without a pause, and knows afterwards what became of every one."""

import itertools
import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.compose.containers import Containers
from tests.photos import GOLDEN
from tests.waiting import wait_for

_ENDED = {"succeeded", "failed", "canceled"}


def labelled_photos() -> list[tuple[Path, str]]:
    """Photos of leaves, with the class that the bundled model is known to give each."""
    entries = json.loads((GOLDEN / "golden.json").read_text(encoding="utf-8"))
    return [(GOLDEN / entry["file"], entry["label"]) for entry in entries]


class Crowd:
    """Threads that submit, as fast as they are answered, until they are told to stop."""

    def __init__(self, stack: Containers, size: int = 4) -> None:
        self.accepted: dict[str, str] = {}  # the right answer for each ticket
        self.refused: Counter[str] = Counter()
        self._stack = stack
        self._stop = threading.Event()
        self._turn = itertools.count()
        self._photos = [(path.name, path.read_bytes(), label) for path, label in labelled_photos()]
        self._pool = ThreadPoolExecutor(size)
        self._members = [self._pool.submit(self._submit_for_ever) for _ in range(size)]

    def wait_for_accepted(self, more: int) -> None:
        """Returns once so many more jobs were accepted."""
        enough = len(self.accepted) + more
        wait_for(lambda: len(self.accepted) >= enough, f"{more} more accepted jobs", 120)

    def stop(self) -> None:
        """Returns when the last answer is there.

        Raises:
            Exception: what no submission may end with.
        """
        self._stop.set()
        self._pool.shutdown()
        for one in self._members:
            one.result()

    def _submit_for_ever(self) -> None:
        with httpx.Client(base_url=self._stack.client.base_url, headers=self._stack.client.headers, timeout=60) as http:
            while not self._stop.is_set():
                name, data, label = self._photos[next(self._turn) % len(self._photos)]
                try:
                    answer = http.post("/v1/jobs", files={"file": (name, data)})
                except httpx.TransportError as error:
                    self.refused[type(error).__name__] += 1
                    time.sleep(0.2)  # the API itself is away
                    continue
                if answer.status_code == 202:
                    self.accepted[answer.json()["id"]] = label
                else:
                    said = answer.json() if "json" in answer.headers.get("content-type", "") else {}
                    self.refused[f"{answer.status_code} {said.get('code', answer.text[:40])}"] += 1
                    time.sleep(0.2)


def wait_all_ended(stack: Containers, seconds: float = 240) -> None:
    """Returns when nothing waits and nothing runs.

    Raises:
        AssertionError: too much time passed.
    """
    end = time.monotonic() + seconds
    while (open_jobs := int(stack.sql("SELECT count(*) FROM jobs WHERE status IN ('queued', 'running')")[0][0])) > 0:
        assert time.monotonic() < end, f"{open_jobs} jobs have not ended after {seconds:.0f} seconds"
        time.sleep(1)


def count_fates(stack: Containers, accepted: dict[str, str]) -> Counter[str]:
    """What became of every accepted job, each asked for by its ticket.

    Raises:
        AssertionError: one is unknown, has not ended, ended other than once, or was answered wrongly.
    """
    # a row's version counts its moves: a claim and a return for each attempt but the last, a claim and an end for that
    moves = {id_: (int(version), int(attempt)) for id_, version, attempt in stack.sql(
        "SELECT id, version, attempt FROM jobs"
    )}  # fmt: skip
    fates: Counter[str] = Counter()
    for id_, label in accepted.items():
        answer = stack.client.get(f"/v1/jobs/{id_}")
        assert answer.status_code == 200, f"{id_} was accepted and is not known: {answer.text}"
        ticket = answer.json()
        assert ticket["status"] in _ENDED, f"{id_} is {ticket['status']}"
        version, attempt = moves[id_]
        assert version == 2 * attempt + 1, f"{id_} has {version - 1} moves in {attempt} attempts"
        if ticket["status"] == "succeeded":
            assert ticket["result"]["predicted_class"] == label, f"{id_}: {ticket['result']} instead of {label}"
        fates[ticket["status"] + (f" ({ticket['error']['code']})" if ticket.get("error") else "")] += 1
        fates["run more than once"] += attempt > 1
    return fates
