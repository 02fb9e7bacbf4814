"""One attempt to deliver a webhook: to an address that was checked, within a time, whatever the receiver does.

With httpcore, which is httpx without its client: nothing is followed, kept or unpacked, the environment gives neither
proxies nor certificates, and `worker.pinning` decides where a connection leads.
"""

import asyncio
import os
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import certifi
import httpcore

from shared.errors import NamesUnavailable, OperatorError, WebhookRefused
from shared.hooks import Attempt
from shared.logs import get_logger
from shared.lookups import Lookups
from shared.netguard import Network, parse
from worker.answer import Answer
from worker.pinning import AnswerTooLong, PinnedNetwork

log = get_logger(__name__)

MOST_SECONDS = 15.0  # looking up, connecting, TLS, and the answer to its end
_LOOKUP_SHARE = 2 / 3  # of it: a name that hangs is told as that, not as a receiver that gives no answer
_BODY_MOST_BYTES = 4096
_HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": "Turno/0.1.0",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


class Sender:
    """Makes attempts, as many at once as are asked for; none leaves anything to another."""

    def __init__(
        self, networks: Sequence[Network], ca_file: Path | None = None, most_seconds: float = MOST_SECONDS
    ) -> None:
        """Takes what the operator allows.

        Args:
            networks: private networks to which webhooks may go.
            ca_file: certificates that are trusted beside the public ones, which are those of certifi.
            most_seconds: for one attempt.

        Raises:
            OperatorError: there are no certificates in the file.
        """
        self._networks = networks
        self._most_seconds = most_seconds
        self._tls = _trusting(ca_file)
        self._lookups = Lookups(networks, most_seconds * _LOOKUP_SHARE)

    async def send(self, url: str, headers: dict[str, str], body: str, caller: str) -> Attempt:
        """Tries once; whatever goes wrong stands in what is returned.

        Args:
            headers: those of the message; what every request needs is added.
            caller: whose message it is: names of one caller that hang leave threads for those of others.
        """
        at, start, answer = datetime.now(UTC), time.monotonic(), Answer()
        error = await self._error(url, headers, body, caller, answer)
        latency_ms = round((time.monotonic() - start) * 1000, 1)
        try:
            return Attempt(at, latency_ms, answer.status, error, answer.excerpt(), answer.retry_after_seconds(at))
        except Exception as fault:  # raised, it would have the same message sent again and again
            log.error("a webhook's answer could not be read", exc_info=fault)
            return Attempt(at, latency_ms, answer.status, error)

    async def _error(self, url: str, headers: dict[str, str], body: str, caller: str, answer: Answer) -> str | None:
        """Why it does not count as delivered, once `answer` has what came."""
        try:
            async with asyncio.timeout(self._most_seconds):
                await self._post(url, headers, body.encode(), caller, answer)
            return answer.error()
        except TimeoutError:
            return f"no {'complete ' if answer.status else ''}answer within {self._most_seconds:g} s"
        except (WebhookRefused, NamesUnavailable) as refusal:
            return refusal.detail
        except Exception as fault:  # nothing that a receiver thinks of may end the courier's round
            return _sentence(fault, answer)

    async def _post(self, url: str, headers: dict[str, str], body: bytes, caller: str, answer: Answer) -> None:
        target = parse(url, self._networks)
        network = PinnedNetwork(await self._lookups.addresses(target, caller), self._most_seconds)
        host = f"[{target.host}]" if ":" in target.host else target.host
        address = httpcore.URL(scheme=target.scheme, host=host, port=target.port, target=target.path)
        async with (
            httpcore.AsyncHTTPConnection(address.origin, self._tls, network_backend=network) as connection,
            connection.stream(
                "POST",
                address,
                headers=list((_HEADERS | headers).items()),
                content=body,
                extensions={"sni_hostname": target.host},  # without an IPv6 address's brackets
            ) as response,
        ):
            answer.status = response.status
            told = {name.lower(): value for name, value in response.headers}
            answer.retry_after = told.get(b"retry-after", b"").decode("latin-1")
            async for piece in response.aiter_stream():
                answer.body += piece
                if len(answer.body) >= _BODY_MOST_BYTES:
                    break


def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    """What certificates are checked with.

    `ssl.create_default_context` would heed SSL_CERT_FILE and SSL_CERT_DIR, and write keys to SSLKEYLOGFILE.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certifi.where())
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise OperatorError(f"WEBHOOK_CA_FILE: {ca_file} holds no certificates in PEM form.") from error
    return context


def _sentence(fault: Exception, answer: Answer) -> str:
    """What went wrong, in few words: exceptions like to tell addresses, and what the receiver said."""
    cause: BaseException = fault
    while cause.__cause__:
        cause = cause.__cause__
    match cause:
        case AnswerTooLong():
            return "the answer's headers are too long"
        case ssl.SSLCertVerificationError():
            return f"certificate verify failed: {cause.verify_message.rstrip('.')}"
        case ssl.SSLError():
            return f"TLS failed: {(cause.reason or 'unknown reason').replace('_', ' ').lower()}"
        case OSError(errno=int(number)):
            return os.strerror(number).lower()
    if isinstance(fault, httpcore.RemoteProtocolError) and fault is not cause:
        return "the answer is incomplete" if answer.status else "the answer is not HTTP"
    if isinstance(fault, (httpcore.RemoteProtocolError, httpcore.NetworkError)):
        return "the connection was closed without an answer"
    log.error("a webhook could not be sent", exc_info=fault)
    return "it could not be sent"
