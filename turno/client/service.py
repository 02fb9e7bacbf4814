"""The service as a caller sees it: submit, wait, watch, fetch, withdraw, many at once."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from turno.client import batching
from turno.client.answers import Batch, BatchResult, Job, Model, Result
from turno.client.errors import JobFailed, Refused
from turno.client.images import Image, outgoing
from turno.client.listing import list_jobs
from turno.client.transport import Call, Form, Transport
from turno.client.waiting import wait_for_end
from turno.client.watching import Watch
from turno.client.wishes import form_fields


class Turno:
    """One service, and the key to it; to be used as a context manager, or closed."""

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout_seconds: float = 30,
        retry_seconds: float = 60,
        trust_env: bool = False,
    ) -> None:
        """Opens nothing yet.

        Args:
            url: where the service is, with a path if a proxy gives it one.
            api_key: sent to that origin and to no other.
            timeout_seconds: how long the network may be silent.
            retry_seconds: how long a call that fails for now is repeated; 0 never repeats.
            trust_env: let HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE apply; nothing else is read from the environment.

        Raises:
            ValueError: url or key cannot be one.
        """
        self.transport = Transport(  # for routes that have no method here
            url, api_key, timeout_seconds=timeout_seconds, retry_seconds=retry_seconds, trust_env=trust_env
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self.transport.http.close()

    @property
    def url(self) -> str:
        """The service's address, without a password that it may hold."""
        return self.transport.shown_url

    def submit(
        self,
        image: Image,
        *,
        model: str | None = None,
        priority: str = "interactive",
        deadline_seconds: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        keep: str | None = None,
        webhook_url: str | None = None,
        webhook_events: Sequence[str] | None = None,
        idempotency_key: str | None = None,
        client_id: str | None = None,
        wait_seconds: int = 0,
    ) -> Job:
        """Sends an image; once this returns, the job is durable and will end.

        Args:
            image: a path, an image's bytes, or an open file.
            priority: `interactive` or `batch`, which lets the others go first.
            deadline_seconds: the job fails when no worker took it by then.
            metadata: comes back with the ticket; at most 4 KB of JSON.
            keep: what stays after the end: `full`, `result` or `nothing`.
            webhook_url: is told of the job, signed with `webhook_secret`.
            webhook_events: of what: `job.started` and so on; the job's end when none are given.
            idempotency_key: makes a repetition give the same job, for 7 days; one is made when none is given.
            client_id: your own id for the job; the same id gives the same job, for ever.
            wait_seconds: how long the answer may wait for the job's end, at most 60.

        Raises:
            Refused, Unreachable, OSError
        """
        fields = form_fields(model, priority, deadline_seconds, metadata, keep, webhook_url, webhook_events)
        headers = {"Prefer": f"wait={wait_seconds}"} if wait_seconds else {}
        if idempotency_key or not client_id:
            headers["Idempotency-Key"] = idempotency_key or uuid.uuid4().hex
        call = Call(
            "PUT" if client_id else "POST",
            _path(client_id) if client_id else "/v1/jobs",
            headers=headers,
            form=Form(fields, [outgoing(image)]),
            wait_seconds=wait_seconds,
        )
        return self._job(self.transport.send(call))

    def get(self, job: Job | str) -> Job:
        """The job as it stands now."""
        return self._job(self.transport.send(Call("GET", _path(job))))

    def wait(self, job: Job | str, timeout_seconds: float | None = None) -> Job:
        """The job at its end, whatever that is.

        Raises:
            TimedOut: it has not ended within `timeout_seconds`; without a limit this waits for ever.
        """
        return wait_for_end(self.transport, _path(job), timeout_seconds)

    def result(self, job: Job | str, timeout_seconds: float | None = None) -> Result:
        """The answer to the job's image, waited for if need be.

        Raises:
            JobFailed: the job failed or was canceled.
            TimedOut
        """
        found = job if isinstance(job, Job) and job.ended else self.wait(job, timeout_seconds)
        if found.result is None:
            raise JobFailed(found)
        return found.result

    def watch(self, job: Job | str) -> Iterator[Job]:
        """The job as it stands, then at each change; its end is the last."""
        return Watch(self.transport, f"{_path(job)}/events").jobs()

    def cancel(self, job: Job | str) -> Job:
        """Withdraws a job that has not ended.

        Raises:
            Refused: `move-refused`: it has ended otherwise.
        """
        try:
            return self._job(self.transport.send(Call("POST", f"{_path(job)}/cancel")))
        except Refused as refusal:
            if refusal.code == "move-refused" and (found := self.get(job)).status == "canceled":
                return found  # by this very call, whose first answer was lost
            raise

    def retry(self, job: Job | str) -> Job:
        """Runs a failed or canceled job again under the same id; never sent twice, for it would run twice."""
        return self._job(self.transport.send(Call("POST", f"{_path(job)}/retry", repeatable=False)))

    def erase(self, job: Job | str) -> None:
        """Erases image and result for good; a job that is erased already is no error."""
        try:
            self.transport.send(Call("DELETE", _path(job)))
        except Refused as refusal:
            if refusal.status != httpx.codes.GONE:
                raise

    def jobs(
        self,
        *,
        status: str | None = None,
        model: str | None = None,
        batch: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> Iterator[Job]:
        """Your jobs, newest first, fetched page by page as they are asked for."""
        wanted = {"status": status, "model": model, "batch": batch}
        return list_jobs(self.transport, {**wanted, "created_after": created_after, "created_before": created_before})

    def models(self) -> list[Model]:
        """What is served."""
        answer = self.transport.send(Call("GET", "/v1/models"))
        return self.transport.read(answer, lambda document: [Model.read(one) for one in document["models"]])

    def batch(
        self,
        images: Iterable[Image],
        *,
        model: str | None = None,
        priority: str = "batch",
        deadline_seconds: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        keep: str | None = None,
        webhook_url: str | None = None,
        webhook_events: Sequence[str] | None = None,
        idempotency_key: str | None = None,
        on_accepted: batching.Accepted | None = None,
    ) -> Batch:
        """Sends many images, in several requests if need be, each file read while it is sent.

        Args:
            images: paths, bytes or open files; the other arguments apply to each.
            webhook_events: `batch.completed`, once for each request, when none are given.
            on_accepted: told of each request that was accepted, so that its id is not lost when a later one fails.

        Raises:
            Refused, Unreachable, OSError
        """
        fields = form_fields(model, priority, deadline_seconds, metadata, keep, webhook_url, webhook_events)
        key = idempotency_key or uuid.uuid4().hex
        return batching.send_batch(self.transport, images, fields, key, on_accepted)

    def get_batch(self, batch: Batch | str) -> Batch:
        """The batch as it stands now."""
        return batching.look(self.transport, batch)

    def watch_batch(self, batch: Batch | str, timeout_seconds: float | None = None) -> Iterator[Batch]:
        """The batch as it stands, again and again until it is done or the time is over."""
        return batching.progress(self.transport, batch, timeout_seconds)

    def batch_results(self, batch: Batch | str) -> list[BatchResult]:
        """What became of each image, in their order; those that have not ended are among them."""
        return batching.results(self.transport, batch)

    def webhook_secret(self, webhook: str = "default") -> str:
        """What signs the deliveries to a registered webhook; `default`: those to each `webhook_url` of yours."""
        answer = self.transport.send(Call("GET", f"/v1/webhooks/{quote(webhook, safe='')}/secret"))
        return self.transport.read(answer, lambda document: str(document["secret"]))

    def _job(self, answer: httpx.Response) -> Job:
        return self.transport.read(answer, Job.read)


def _path(job: Job | str) -> str:
    return f"/v1/jobs/{quote(job if isinstance(job, str) else job.id, safe='')}"
