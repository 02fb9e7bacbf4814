"""Which addresses webhooks are sent to, and which never."""

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest
from pydantic import ValidationError

from shared.errors import NamesUnavailable, WebhookRefused
from shared.netguard import Address, Target, parse, parse_networks, resolve
from shared.settings import Settings
from tests.shared.hostile_urls import (
    HOSTILE,
    METADATA_WITHIN_PRIVATE_NETWORKS,
    NETWORKS,
    PRIVATE_NAMES,
    SPECIAL_ADDRESSES,
)
from tests.shared.resolvers import Resolver

HOOK = "https://hooks.example.com/turno"
ALL_PRIVATE = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,127.0.0.0/8,::1/128,fc00::/7"
PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"]


def accepted(url: str, networks: str = "") -> list[Address]:
    """What is done when an address is given, and again before each connection."""
    allowed = parse_networks(networks)
    return resolve(parse(url, allowed), allowed)


def refusal(url: str, networks: str = "") -> str:
    """Why an address is refused."""
    with pytest.raises(WebhookRefused) as refused:
        accepted(url, networks)
    return refused.value.detail


def literal(address: str, scheme: str = "https") -> str:
    return f"{scheme}://[{address}]/" if ":" in address else f"{scheme}://{address}/"


@pytest.mark.parametrize("networks", ["", ALL_PRIVATE])
@pytest.mark.parametrize("url", [url for urls in HOSTILE.values() for url in urls], ids=lambda url: ascii(url)[:60])
def test_a_hostile_address_is_refused_with_a_sentence_and_never_looked_up(
    url: str, networks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(PUBLIC).installed(monkeypatch)
    with pytest.raises(WebhookRefused) as refused:
        parse(url, parse_networks(networks))
    sentence = refused.value.detail
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "s3cret" not in sentence
    assert resolver.asked == []


@pytest.mark.parametrize("address", SPECIAL_ADDRESSES)
def test_a_special_address_is_refused_in_person_and_behind_a_name(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal(literal(address))
    Resolver([address]).installed(monkeypatch)
    assert str(ip_address(address)) not in refusal(HOOK)


@pytest.mark.parametrize("address", SPECIAL_ADDRESSES)
def test_allowed_networks_open_themselves_and_nothing_else(address: str) -> None:
    private = ("10.", "127.", "172.", "192.168.", "fc00::1", "fd12:")
    if address.startswith(private) or address == "::1":
        for scheme in ("http", "https"):
            assert accepted(literal(address, scheme), ALL_PRIVATE) == [ip_address(address)]
    else:
        refusal(literal(address), ALL_PRIVATE)
        refusal(literal(address, "http"), ALL_PRIVATE)


@pytest.mark.parametrize("address", METADATA_WITHIN_PRIVATE_NETWORKS)
def test_credentials_of_a_cloud_are_out_of_reach_in_an_allowed_network_too(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal(literal(address, "http"), "fc00::/7")
    refusal(literal(address), "fc00::/7")
    Resolver([address]).installed(monkeypatch)
    refusal("http://metadata.internal/", f"fc00::/7,{address}")


@pytest.mark.parametrize("name", PRIVATE_NAMES)
def test_a_private_name_is_refused_unless_private_networks_are_allowed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(["10.1.2.3"]).installed(monkeypatch)
    assert "WEBHOOK_ALLOW_NETWORKS" in refusal(f"https://{name}/")
    assert resolver.asked == []
    assert accepted(f"http://{name}/", "10.1.0.0/16") == [ip_address("10.1.2.3")]
    refusal(f"http://{name}/", "10.2.0.0/16")


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://example.com", Target("https", "example.com", 443, "/")),
        ("https://example.com:443/", Target("https", "example.com", 443, "/")),
        ("HTTPS://Hooks.Example.COM/A", Target("https", "hooks.example.com", 443, "/A")),
        ("https://example.com?a=b", Target("https", "example.com", 443, "/?a=b")),
        ("https://example.com:8443/a//b/?c=d&e=%C3%A9", Target("https", "example.com", 8443, "/a//b/?c=d&e=%C3%A9")),
        ("https://example.com/@me?to=a@b:c", Target("https", "example.com", 443, "/@me?to=a@b:c")),
        ("https://example.com/?next=https://a/?b", Target("https", "example.com", 443, "/?next=https://a/?b")),
        ("https://example.com:65535/~a(b)*c,d;e=!$'", Target("https", "example.com", 65535, "/~a(b)*c,d;e=!$'")),
        ("https://xn--exmple-cua.com/", Target("https", "xn--exmple-cua.com", 443, "/")),
        ("https://0x7f.1a.example.com/", Target("https", "0x7f.1a.example.com", 443, "/")),
        ("https://1.example.com/", Target("https", "1.example.com", 443, "/")),
        ("https://localhost.example.com/", Target("https", "localhost.example.com", 443, "/")),
        ("https://8.8.8.8:1/", Target("https", "8.8.8.8", 1, "/")),
        ("https://[2606:4700:0:0:0:0:0:00AB]:8443/a", Target("https", "2606:4700::ab", 8443, "/a")),
        (f"https://{'a' * 63}.{'b' * 63}.com/", Target("https", f"{'a' * 63}.{'b' * 63}.com", 443, "/")),
        (f"https://example.com/{'a' * 2028}", Target("https", "example.com", 443, f"/{'a' * 2028}")),
    ],
)
def test_a_good_address_is_taken_apart_without_asking_anybody(
    url: str, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver().installed(monkeypatch)
    assert parse(url, []) == target
    assert resolver.asked == []
    origin = urlsplit(target.origin)
    assert (origin.scheme, origin.hostname, origin.port) == (target.scheme, target.host, target.port)


def test_a_name_leads_to_its_public_addresses_in_the_resolvers_order(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver([*PUBLIC, "1.1.1.1", PUBLIC[0]]).installed(monkeypatch)
    assert accepted(HOOK) == [ip_address(text) for text in (*PUBLIC, "1.1.1.1")]
    assert resolver.asked == ["hooks.example.com"]


def test_of_many_addresses_eight_are_used_and_all_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [f"8.8.{third}.8" for third in range(100)]
    Resolver(many, [*many, "10.0.0.1"]).installed(monkeypatch)
    assert accepted(HOOK) == [ip_address(text) for text in many[:8]]
    refusal(HOOK)


@pytest.mark.parametrize("bad", ["10.0.0.1", "127.0.0.1", "::1", "169.254.169.254", "::ffff:8.8.8.8", "fe80::1%2"])
def test_one_bad_address_refuses_the_name_with_all_its_good_ones(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Resolver([*PUBLIC, bad], [bad, *PUBLIC]).installed(monkeypatch)
    refusal(HOOK)
    refusal(HOOK)


def test_a_name_that_leads_elsewhere_the_second_time_is_refused_then(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(PUBLIC, ["169.254.169.254"]).installed(monkeypatch)
    target = parse(HOOK, [])
    assert resolve(target, []) == [ip_address(text) for text in PUBLIC]
    with pytest.raises(WebhookRefused):
        resolve(target, [])
    assert resolver.asked == ["hooks.example.com"] * 2


@pytest.mark.parametrize("answer", [[], ["2606:4700::1111%3"], ["not an address"], ["fe80::1%0"]])
def test_an_answer_that_is_no_plain_public_address_is_refused(
    answer: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Resolver(answer).installed(monkeypatch)
    refusal(HOOK)


def test_an_address_in_a_zone_is_refused_in_an_allowed_network_too(monkeypatch: pytest.MonkeyPatch) -> None:
    Resolver(["fd12::1%3"], ["fd12::1"]).installed(monkeypatch)
    refusal(HOOK, "fd12::/16")
    assert accepted(HOOK, "fd12::/16") == [ip_address("fd12::1")]


@pytest.mark.parametrize("code", [socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM, socket.EAI_MEMORY, None])
def test_a_resolver_that_cannot_tell_refuses_nothing_for_good(
    code: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    Resolver(TimeoutError("timed out") if code is None else socket.gaierror(code, "nobody knows")).installed(
        monkeypatch
    )
    with pytest.raises(NamesUnavailable, match=r"hooks\.example\.com cannot be looked up .*try again later\."):
        accepted(HOOK)


@pytest.mark.parametrize("code", [socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY, socket.EAI_FAMILY])
def test_an_unknown_name_and_one_of_a_private_address_cannot_be_told_apart(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    Resolver(socket.gaierror(code, "no such name"), ["10.1.2.3"], ["169.254.169.254"]).installed(monkeypatch)
    unknown, private, metadata = refusal(HOOK), refusal(HOOK), refusal(HOOK)
    assert unknown == private == metadata
    assert "hooks.example.com does not lead to a public address" in unknown
    assert "WEBHOOK_ALLOW_NETWORKS" in unknown


@pytest.mark.parametrize("host", ["127.1", "0x7f.1", "2130706433", "localhost", f"{'a' * 64}.com", "a\x00b.com", ""])
def test_resolve_relies_on_nothing_that_parse_has_looked_at(host: str) -> None:
    with pytest.raises(WebhookRefused):
        resolve(Target("https", host, 443, "/"), [])


def test_http_is_for_allowed_networks_alone_and_public_addresses_stay_reachable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "Webhooks go by https:// only" in refusal("http://8.8.8.8/")
    assert "http://" in refusal("http://8.8.8.8/", "10.1.0.0/16")
    assert "into a network that is allowed here" in refusal("https://10.2.0.1/", "10.1.0.0/16")
    assert accepted("https://8.8.8.8/", "10.1.0.0/16") == [ip_address("8.8.8.8")]
    for url in ("http://8.8.8.8/", "http://10.2.0.1/", "https://10.2.0.1/", "http://[2606:4700::1111]/"):
        refusal(url, "10.1.0.0/16")
    Resolver(["10.1.0.1", "8.8.8.8"]).installed(monkeypatch)
    assert accepted(HOOK, "10.1.0.0/16") == [ip_address("10.1.0.1"), ip_address("8.8.8.8")]
    refusal(HOOK.replace("https", "http"), "10.1.0.0/16")


def test_localhost_is_reached_in_development() -> None:
    assert set(accepted("http://localhost:9000/", "127.0.0.0/8, ::1/128")) <= {
        ip_address("127.0.0.1"),
        ip_address("::1"),
    }


@pytest.mark.parametrize("networks", [*NETWORKS, "10.0.0.0/8 10.0.0.0/8"])
def test_only_private_networks_can_be_allowed(networks: str) -> None:
    with pytest.raises(
        ValidationError, match=r"is no network: write it like|is no private network: it must lie within"
    ):
        Settings(_env_file=None, webhook_allow_networks=networks)


def test_allowed_networks_are_a_list_with_commas() -> None:
    assert Settings(_env_file=None, webhook_allow_networks=ALL_PRIVATE).webhook_allow_networks == ALL_PRIVATE
    assert [str(network) for network in parse_networks(" 10.1.0.0/16 ,, fd12::/16,192.168.1.7, ")] == [
        "10.1.0.0/16",
        "fd12::/16",
        "192.168.1.7/32",
    ]
    assert parse_networks("") == parse_networks(" , ") == []
