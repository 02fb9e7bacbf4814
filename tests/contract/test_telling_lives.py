"""Whatever happens to jobs in whatever order, each start and each end is told once to whoever wants to hear of it.

The machine of `test_state_machine`, whose twins also note what their moves should have told.
"""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from shared import batchstore, endpointstore
from shared.database import Database
from shared.hooks import ENDS, Event
from shared.jobs import TERMINAL, Batch, JobStatus
from shared.tables import batches, deliveries, endpoints
from tests.contract.test_state_machine import Life, Twin
from tests.contract.told import URL, Told, hook, register, told
from tests.shared.make import EPOCH, add, new_job

_ALONE, _TOGETHER = ["job-0", "job-1", "job-2"], ["job-3", "job-4"]
_ENDS, _STARTS = "https://ends.example/", "https://starts.example/"
_REGISTERED = {_ENDS: ENDS, _STARTS: (Event.JOB_STARTED,)}
_TOLD = {JobStatus.RUNNING: Event.JOB_STARTED} | {JobStatus(one.removeprefix("job.")): one for one in ENDS}


@dataclass
class Talk:
    """Who listens, and what they should have heard."""

    listening: set[str] = field(default_factory=lambda: set(_REGISTERED))
    messages: Counter[Told] = field(default_factory=Counter)
    ends_together: int = 0
    completions: int = 0


@dataclass
class Heard(Twin):
    """A job that is talked of."""

    id: str = ""
    own: bool = False  # whether it says itself whom to tell of its end
    talk: Talk = field(default_factory=Talk)

    def move(self, target: JobStatus) -> None:
        super().move(target)
        self.talk.ends_together += target in TERMINAL and self.id in _TOGETHER
        if (event := _TOLD.get(target)) is None:
            return
        addresses = [url for url in self.talk.listening if event in _REGISTERED[url]]
        addresses += [URL] if self.own and event in ENDS else []
        message_id = f"{self.id}-{self.version}" + "-started" * (event is Event.JOB_STARTED)
        self.talk.messages.update((message_id, str(event), url) for url in addresses)


class ToldLife(Life):
    """Random lives of a few jobs, alone and in a batch, whose caller's webhooks come and go."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        for table in (batches, deliveries, endpoints):
            self._write(lambda connection, table=table: connection.execute(table.delete()))
        self.registered = {url: register(self.database, url, events) for url, events in _REGISTERED.items()}
        register(self.database, caller="another")
        self.talk = Talk()
        self.ends_seen = 0

    @rule(job_id=st.sampled_from(_ALONE), own=st.booleans())
    def arrive(self, job_id: str, own: bool) -> None:
        if job_id not in self.twins:
            add(self.database, job_id, **(hook(*ENDS) if own else {}))
            self.twins[job_id] = Heard(id=job_id, own=own, talk=self.talk)

    @rule()
    def arrive_together(self) -> None:
        if self.twins.keys() & set(_TOGETHER):
            return
        wanted = hook(Event.BATCH_COMPLETED)
        arrivals = [new_job(id_, batch_id="b", batch_index=at, **wanted) for at, id_ in enumerate(_TOGETHER)]
        self._write(batchstore.add, Batch("b", "key-a", EPOCH, len(arrivals), []), arrivals)
        self.twins.update({id_: Heard(id=id_, talk=self.talk) for id_ in _TOGETHER})

    @rule(url=st.sampled_from([*_REGISTERED]))
    def disable_or_enable(self, url: str) -> None:
        if url in self.talk.listening:
            self._write(endpointstore.disable, self.registered[url].id, "for a while")
        else:
            self._write(endpointstore.enable, self.registered[url].id)
        self.talk.listening ^= {url}

    @invariant()
    def everybody_heard_what_happened_and_nothing_else(self) -> None:
        ended = self.talk.ends_together > self.ends_seen
        self.ends_seen = self.talk.ends_together
        self.talk.completions += ended and all(self.twins[id_].status in TERMINAL for id_ in _TOGETHER)
        found = Counter(told(self.database))
        completed = [one for one in found.elements() if one[1] == Event.BATCH_COMPLETED]
        assert len(set(completed)) == len(completed) == self.talk.completions
        assert found - Counter(completed) == self.talk.messages


def test_no_sequence_of_events_is_told_wrongly(database: Database) -> None:
    steps = settings(max_examples=12 if database.engine.dialect.name == "sqlite" else 6, stateful_step_count=30)
    run_state_machine_as_test(type("ToldLifeHere", (ToldLife,), {"database": database}), settings=steps)
