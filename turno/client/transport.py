"""One call to the service: sent to the one configured origin, repeated where that is safe, its refusal read."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from turno.client.errors import NotTurno, Refused, TurnoError, Unreachable
from turno.client.images import Outgoing

T = TypeVar("T")

_FOR_NOW = {429, 502, 503, 504}
_BACKOFF = wait_random_exponential(multiplier=0.25, max=10)
_CONNECT_SECONDS = 10
_SEND_ERRORS = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)  # nothing of the request has left


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart body; the fields go before the files."""

    fields: Mapping[str, str]
    files: Sequence[Outgoing]


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked of the service."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Form | None = None
    repeatable: bool = True  # twice is as good as once
    wait_seconds: float = 0  # how much longer than usual the answer may take


class Fault(Exception):
    """Inside the client: an attempt that failed, and whether another one is worth it."""

    def __init__(self, error: TurnoError, *, again: bool, after_seconds: float = 0) -> None:
        self.error = error
        self.again = again
        self.after_seconds = after_seconds
        super().__init__(str(error))


class Transport:
    """The connection to one service."""

    def __init__(
        self, url: str, api_key: str | None, *, timeout_seconds: float, retry_seconds: float, trust_env: bool
    ) -> None:
        self.url = _checked_url(url)
        if api_key and not (api_key.isascii() and api_key.isprintable()):
            raise ValueError("The API key holds signs that no key of Turno has: copy it anew.")
        self.retry_seconds = retry_seconds
        self._timeout_seconds = timeout_seconds
        # a redirect is never followed: it would take the key to another origin
        self.http = httpx.Client(
            base_url=self.url,
            headers={"X-API-Key": api_key} if api_key else {},
            timeout=timeout_seconds,
            follow_redirects=False,
            trust_env=trust_env,
        )

    @property
    def shown_url(self) -> str:
        """The address without a password that it may hold."""
        return str(self.url.copy_with(userinfo=b"")).rstrip("/")

    def send(self, call: Call, patience_seconds: float | None = None) -> httpx.Response:
        """The service's answer; what fails for now is repeated with growing pauses, or when Retry-After says.

        Args:
            patience_seconds: how long to go on after a first failure; without it, as the client was made.

        Raises:
            Refused, Unreachable, NotTurno
        """
        patience = self.retry_seconds if patience_seconds is None else min(patience_seconds, self.retry_seconds)
        try:
            return Retrying(
                retry=retry_if_exception(lambda error: isinstance(error, Fault) and error.again),
                wait=_pause_seconds,
                stop=_stop_after(patience),
                reraise=True,
            )(self._attempt, call)
        except Fault as fault:
            raise fault.error from fault.__cause__

    def _attempt(self, call: Call) -> httpx.Response:
        body: dict[str, Any] = {}
        if call.form:
            body = {"data": call.form.fields, "files": [("file", image.part()) for image in call.form.files]}
        try:
            response = self.http.request(
                call.method,
                call.path,
                params=call.params,
                headers=call.headers,
                timeout=self.timeout(call.wait_seconds),
                **body,
            )
        except httpx.TransportError as error:
            raise self.broken(error, repeatable=call.repeatable) from error
        if response.is_success:
            return response
        raise self.refused(response, repeatable=call.repeatable)

    def timeout(self, wait_seconds: float) -> httpx.Timeout:
        """How long the network may be silent when an answer takes up to `wait_seconds`."""
        usual = self._timeout_seconds
        return httpx.Timeout(usual, connect=min(usual, _CONNECT_SECONDS), read=usual + wait_seconds)

    def broken(self, error: httpx.TransportError, *, repeatable: bool = True) -> Fault:
        """A connection that failed."""
        again = repeatable or isinstance(error, _SEND_ERRORS)
        final = isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol)
        return Fault(Unreachable(self._sentence(error)), again=again and not final)

    def refused(self, response: httpx.Response, *, repeatable: bool = True) -> Fault:
        """An answer other than success; the response must have been read."""
        # 502 to 504 may mean that a proxy lost the answer; a 503 with a Location has a job behind it
        again = response.status_code in _FOR_NOW and "Location" not in response.headers
        again = again and (repeatable or response.status_code == 429)
        return Fault(self._refusal(response), again=again, after_seconds=retry_after_seconds(response) or 0)

    def _refusal(self, response: httpx.Response) -> TurnoError:
        if response.is_redirect:
            return NotTurno(
                f"{self.shown_url} redirects to {response.headers['Location'][:200]}: give the address of Turno itself."
            )
        try:
            problem = response.json()
            code, detail = str(problem["code"]), str(problem["detail"])
        except (ValueError, KeyError, TypeError):
            phrase = f"{response.status_code} {response.reason_phrase}".strip()
            return Refused(
                response.status_code,
                f"http-{response.status_code}",
                f"{self.shown_url} answered {phrase}, and not in Turno's words: look at the proxy in front of it",
            )
        after_seconds = retry_after_seconds(response)
        return Refused(response.status_code, code, detail, retry_after_seconds=after_seconds, problem=problem)

    def read(self, response: httpx.Response, reader: Callable[[Any], T]) -> T:
        """What `reader` makes of the answer's JSON.

        Raises:
            NotTurno: it is not what Turno answers; a proxy that cut an upload off may say 200 and nothing else.
        """
        try:
            return reader(response.json())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NotTurno(
                f"{self.shown_url} gave an answer to {response.request.method} {response.request.url.path} "
                "that is not Turno's: check the address, and the proxy in front of it."
            ) from error

    def _sentence(self, error: httpx.TransportError) -> str:
        if isinstance(error, httpx.ConnectTimeout):
            said = "does not answer: check the address, the network and the firewall"
        elif isinstance(error, httpx.TimeoutException):
            said = "did not answer in time"
        elif "CERTIFICATE_VERIFY_FAILED" in str(error):
            said = f"has a certificate that is not trusted here ({error})"
        elif isinstance(error, httpx.ConnectError):
            said = f"cannot be reached ({error}): check the address, and whether Turno runs there"
        else:
            said = f"broke the connection ({str(error) or type(error).__name__})"
        return f"{self.shown_url} {said}."


def retry_after_seconds(response: httpx.Response) -> float | None:
    """The header's seconds; a date, which Turno never sends, counts as none."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isdecimal() else None


def _checked_url(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url!r} is not an address: {error}.") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"{url!r} is not an address: it must begin with http:// or https://.")
    return parsed.copy_with(query=None, fragment=None)


def _pause_seconds(state: RetryCallState) -> float:
    fault = state.outcome.exception() if state.outcome else None
    return _BACKOFF(state) + (fault.after_seconds if isinstance(fault, Fault) else 0)


def _stop_after(seconds: float) -> Callable[[RetryCallState], bool]:
    """Counts from the first failure: what an upload took before it broke off is not held against it."""
    first_failed_at = 0.0

    def stop(state: RetryCallState) -> bool:
        nonlocal first_failed_at
        first_failed_at = first_failed_at or time.monotonic()
        return time.monotonic() - first_failed_at + state.upcoming_sleep > seconds

    return stop
