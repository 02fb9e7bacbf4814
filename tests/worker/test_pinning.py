"""Where an attempt connects to, and whom it believes: names, addresses and certificates."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from shared.errors import OperatorError
from tests.authority import Authority
from tests.receiver import Answer, End, Receiver
from tests.waiting import wait_for
from tests.worker.attempts import BODY, HEADERS, Resolver, attempt, failure, sender
from worker.sending import Sender

AUTHORITY_HASH = "22292f19"  # of its name, by which OpenSSL finds it in a folder


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    return Resolver(monkeypatch)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def at(receiver: Receiver, name: str) -> str:
    """The receiver's address by another name, with something that must not be told."""
    return receiver.url.replace(receiver.host, name) + "?secret"


def test_names_that_cannot_be_looked_up_are_told_apart(resolver: Resolver) -> None:
    def fails() -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    resolver.names["flaky.test"] = fails
    assert "flaky.test cannot be looked up at the moment" in failure("http://flaky.test/?secret")
    assert "unknown.test does not lead " in failure("http://unknown.test/?secret")


def test_names_of_one_caller_that_hang_do_not_hold_up_the_receiver_of_another(resolver: Resolver) -> None:
    end = threading.Event()
    names = [f"{number}.slow.test" for number in range(40)]
    resolver.names |= {name: lambda: [str(end.wait(60))] for name in names}
    resolver.names |= {"hooks.test": ["127.0.0.1"]}

    async def beside(healthy: str) -> None:
        one = sender(most_seconds=1.5)
        hanging = [asyncio.create_task(one.send(f"http://{name}/?secret", HEADERS, BODY, "a")) for name in names]
        await asyncio.sleep(0)
        assert (await one.send(healthy, HEADERS, BODY, "b")).succeeded
        errors = [made.error for made in await asyncio.gather(*hanging)]
        assert errors[0] == "0.slow.test could not be looked up within 1 s; try again later."
        assert errors[-1] == "39.slow.test was not looked up: look-ups of other names hang; try again later."
        assert (await one.send(healthy, HEADERS, BODY, "b")).succeeded, "the threads still hang"

    try:
        with Receiver() as receiver:
            asyncio.run(beside(at(receiver, "hooks.test")))
    finally:
        end.set()


def test_a_private_authority_is_believed_and_the_name_is_kept(resolver: Resolver, authority: Authority) -> None:
    resolver.names["hooks.test"] = ["127.0.0.1"]
    with Receiver(tls=authority.server("hooks.test")) as receiver:
        made = attempt(at(receiver, "hooks.test"), ca_file=authority.file)
    assert made.succeeded
    assert receiver.server_names == ["hooks.test"]
    assert receiver.requests[0].headers["host"] == f"hooks.test:{receiver.port}"
    assert resolver.asked == ["hooks.test"]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_address_instead_of_a_name_is_verified_as_an_address(host: str, authority: Authority) -> None:
    with Receiver(host, tls=authority.server(host)) as receiver:
        assert attempt(receiver.url, ca_file=authority.file).succeeded
    [received] = receiver.requests
    assert received.headers["host"] == receiver.url.split("/")[2]
    assert receiver.server_names == [None]
    with Receiver(host, tls=authority.server("127.0.0.9", "hooks.test")) as receiver:
        told = failure(receiver.url, ca_file=authority.file)
    assert told.startswith("certificate verify failed: IP address mismatch")
    assert receiver.requests == []


def test_the_default_port_is_not_named(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver.names["hooks.test"] = ["127.0.0.1"]
    try:
        receiver = Receiver(port=80)
    except OSError:  # skips at home and fails in CI
        assert not os.environ.get("CI"), "port 80 is not to be had here"
        pytest.skip("port 80 is not to be had here")
    with receiver:
        assert attempt("http://hooks.test/").succeeded
    assert receiver.requests[0].headers["host"] == "hooks.test"


def test_a_certificate_for_another_name_is_refused(resolver: Resolver, authority: Authority) -> None:
    resolver.names["hooks.test"] = ["127.0.0.1"]
    with Receiver(tls=authority.server("other.test", "127.0.0.1")) as receiver:
        told = failure(at(receiver, "hooks.test"), ca_file=authority.file)
    assert told == "certificate verify failed: Hostname mismatch, certificate is not valid for 'hooks.test'"
    assert receiver.requests == []


def test_an_unknown_authority_and_a_certificate_that_ran_out_are_refused(authority: Authority) -> None:
    with Receiver(tls=authority.server("127.0.0.1")) as receiver:
        assert failure(receiver.url) == "certificate verify failed: unable to get local issuer certificate"
    with Receiver(tls=authority.server("127.0.0.1", valid_for=timedelta(hours=1))) as expired:
        assert failure(expired.url, ca_file=authority.file) == "certificate verify failed: certificate has expired"
    assert receiver.requests == expired.requests == []


def test_the_public_authorities_stay_believed_beside_a_private_one(authority: Authority) -> None:
    alone, beside = (Sender([], file)._tls.cert_store_stats()["x509_ca"] for file in (None, authority.file))
    assert alone > 100
    assert beside == alone + 1


def test_neither_certificates_nor_a_key_log_come_from_the_environment(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, keys = tmp_path / "certificates", tmp_path / "keys.log"
    folder.mkdir()
    (folder / f"{AUTHORITY_HASH}.0").write_bytes(authority.file.read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    with Receiver(tls=authority.server("127.0.0.1")) as receiver:
        assert failure(receiver.url) == "certificate verify failed: unable to get local issuer certificate"
        assert attempt(receiver.url, ca_file=authority.file).succeeded
    assert not keys.exists()


def test_a_file_without_certificates_is_refused_at_the_start(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    for file in (empty, tmp_path / "missing.pem"):
        with pytest.raises(OperatorError, match="holds no certificates"):
            Sender([], file)


@pytest.mark.parametrize(
    ("first", "error"),
    [
        (b"HTTP/1.1 400 Speak HTTP\r\n\r\n", "TLS failed: wrong version number"),
        (b"\x15\x03\x03\x00\x02\x02\x28", "TLS failed: "),  # an alert: handshake failure
        (b"", "no answer within 0.5 s"),
    ],
)
def test_a_handshake_that_fails_or_hangs_ends_the_attempt(first: bytes, error: str) -> None:
    with Receiver() as receiver:
        receiver.answer_with(Answer(first, unasked=True, end=End.HANG))
        told = failure(receiver.url.replace("http", "https"), most_seconds=5 if first else 0.5)
        wait_for(lambda: receiver.connections and not receiver.open_connections, "the connection to be closed", 5)
    assert told.startswith(error)


def test_the_next_address_is_tried_when_one_refuses(resolver: Resolver, authority: Authority) -> None:
    resolver.names["hooks.test"] = ["127.0.0.2", "::1", "127.0.0.1"]
    with Receiver(tls=authority.server("hooks.test")) as receiver:
        assert attempt(at(receiver, "hooks.test"), ca_file=authority.file).succeeded
    assert len(receiver.requests) == 1


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port of 127.0.0.2 at which connecting hangs: its queue is full and nobody takes from it."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.2", 0), backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_the_next_address_is_tried_when_one_does_not_answer(resolver: Resolver, full_port: int) -> None:
    resolver.names["hooks.test"] = ["127.0.0.2", "127.0.0.1"]
    with Receiver(port=full_port) as receiver:
        assert attempt(at(receiver, "hooks.test"), most_seconds=1).succeeded
    assert failure(f"http://127.0.0.2:{full_port}/", most_seconds=0.5) == "no answer within 0.5 s"


def test_when_all_addresses_refuse_it_is_told(resolver: Resolver) -> None:
    with Receiver() as receiver:
        pass
    resolver.names["hooks.test"] = ["127.0.0.2", "127.0.0.1"]
    assert failure(at(receiver, "hooks.test")) == "connection refused"


def test_a_name_that_leads_elsewhere_by_now_is_not_followed(resolver: Resolver) -> None:
    resolver.names["hooks.test"] = ["127.0.0.1"]
    with Receiver("127.0.0.2") as inside, Receiver("127.0.0.1", inside.port) as receiver:
        assert attempt(at(receiver, "hooks.test"), networks="127.0.0.1/32").succeeded
        for now in (["127.0.0.2"], ["127.0.0.1", "127.0.0.2"]):
            resolver.names["hooks.test"] = now
            told = failure(at(receiver, "hooks.test"), networks="127.0.0.1/32")
            assert told.startswith("hooks.test does not lead ")
    assert inside.connections == 0
    assert receiver.connections == 1


def test_a_name_is_asked_for_once_and_cannot_change_between_check_and_connection(resolver: Resolver) -> None:
    answers = [["127.0.0.1"]]
    resolver.names["hooks.test"] = lambda: answers.pop() if answers else ["127.0.0.2"]
    with Receiver("127.0.0.2") as inside, Receiver("127.0.0.1", inside.port) as receiver:
        assert attempt(at(receiver, "hooks.test"), networks="127.0.0.1/32").succeeded
    assert (receiver.connections, inside.connections) == (1, 0)
