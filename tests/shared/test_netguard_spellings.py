"""Whatever is taken for a webhook's address, everybody reads in the same way."""

import socket
from ipaddress import IPv4Address
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import WebhookRefused
from shared.netguard import parse, parse_networks

PRIVATE = parse_networks("10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,127.0.0.0/8")
SPELLINGS = st.sampled_from(["{}", "0{:o}", "0x{:x}", "0X{:X}", "0{}", "00{}", "0x0{:x}", "0{:03o}"])


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.lists(SPELLINGS, min_size=4, max_size=4))
def test_an_ipv4_address_is_taken_in_its_plain_form_only(number: int, parts: int, spellings: list[str]) -> None:
    octets = [number >> shift & 255 for shift in (24, 16, 8, 0)][: parts - 1]
    rest = number % (1 << 8 * (5 - parts))
    text = ".".join(spelling.format(part) for spelling, part in zip(spellings, [*octets, rest], strict=False))
    plain = str(IPv4Address(number))
    for networks in ([], PRIVATE):
        if text == plain:
            assert parse(f"https://{text}/", networks).host == plain
        else:
            with pytest.raises(WebhookRefused):
                parse(f"https://{text}/", networks)


@given(st.text("0123456789abcdefxX.", min_size=1, max_size=16))
def test_what_is_taken_for_a_name_is_no_number_to_the_machine(host: str) -> None:
    try:
        name = parse(f"https://{host}/", PRIVATE).host
    except WebhookRefused:
        return
    try:
        numeric = {entry[4][0] for entry in socket.getaddrinfo(name, 443, flags=socket.AI_NUMERICHOST)}
    except socket.gaierror:
        return
    assert numeric == {host}


PIECES = ["example.com", "8.8.8.8", "a", "1", ".", "..", "/", "//", "\\", "@", ":", ":80", "#", "?", "%", "%2f", "%40"]
PIECES += ["[", "]", "[::1]", "::1", "&", ";", "-", "_", " ", "\t", "\n", "\x00", "\u00e9", "\uff0f", "\u3002", "0x7f"]


@given(st.sampled_from(["http", "https", "HTTPS"]), st.lists(st.sampled_from(PIECES), min_size=1, max_size=8))
def test_other_parsers_read_what_is_taken_in_the_same_way(scheme: str, pieces: list[str]) -> None:
    url = f"{scheme}://{''.join(pieces)}"
    try:
        target = parse(url, PRIVATE)
    except WebhookRefused:
        return
    split, httpx_url = urlsplit(url), httpx.URL(url)
    assert (split.scheme, split.hostname, split.username, split.fragment) == (target.scheme, target.host, None, "")
    assert (split.port or {"http": 80, "https": 443}[split.scheme]) == target.port
    assert (httpx_url.scheme, httpx_url.host, httpx_url.userinfo) == (target.scheme, target.host, b"")
    assert httpx_url.port in (target.port, None)
