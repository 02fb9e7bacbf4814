"""Where webhooks may go: public addresses, and private networks that the operator has named.

`parse` reads an address and asks nobody; `resolve` asks the resolver and judges everything it answers. A name may lead
elsewhere a second later, so a connection goes to an address that `resolve` has returned, never to the name.
"""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from shared.errors import NamesUnavailable, WebhookRefused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_URL_MAX = 2048
_NAME_MAX = 253
_PORT_MAX = 65_535
_ADDRESSES_MAX = 8  # that one delivery may try: a name with a thousand must not turn us into a port scanner
_DEFAULT_PORTS = {"http": 80, "https": 443}

# RFC 3986 without what parsers disagree on: no user, fragment, zone, empty port, or encoded control character
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_CHARACTER = r"(?:[a-z0-9._~!$&'()*+,;=:@/-]|%(?![01]|7f)[0-9a-f]{2})"
_URL = re.compile(
    rf"(?P<scheme>https?)://(?:(?P<name>{_LABEL}(?:\.{_LABEL})*)|\[(?P<ipv6>[0-9a-f:.]{{2,45}})\])"
    rf"(?::(?P<port>[1-9][0-9]{{0,4}}))?(?P<path>/{_CHARACTER}*)?(?P<query>\?(?:{_CHARACTER}|\?)*)?",
    re.ASCII | re.IGNORECASE,  # without ASCII, ſ is an s and the Kelvin sign a k
)

_PORT_HINT = f"The port must be a number from 1 to {_PORT_MAX}, without leading zeros."
_IPV6_HINT = "An IPv6 address stands in brackets and names no zone: https://[2606:4700::1111]/."
# they only choose the sentence; the expression above alone decides
_HINTS = (
    (r"[^\x00-\x7f]", "The address must be ASCII: write the host in its xn-- form and %-encode the rest."),
    (r"[\x00-\x20\x7f\\]", "The address holds a space, a control character or a backslash: take it out."),
    (r"\A(?!https?://)", "The address must begin with https://."),
    (r"#", "The address holds a fragment, which is never sent: leave out # and what follows."),
    (r"\A\w+://[^/?]*@", "The address holds a user name or a password: leave them out; deliveries are signed."),
    (r"\A\w+://\[", _IPV6_HINT),
    (r"\A\w+://[a-z0-9.-]*\.(?:[:/?]|\Z)", "The host's name ends in a dot: leave it out."),
    (r"\A\w+://[a-z0-9.-]*:(?![1-9][0-9]{0,4}(?:[/?]|\Z))", _PORT_HINT),
    (r"", "The address must look like https://host/path: letters, digits and hyphens in the host, the rest %-encoded."),
)

# how inet_aton and browsers tell a number from a name: 127.1, 0x7f.1 and 2130706433 are 127.0.0.1 to them
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# https://www.iana.org/assignments/special-use-domain-names, and what routers and companies use within their walls
_PRIVATE_ENDING = re.compile(
    r"alt|arpa|corp|example|home|internal|intranet|invalid|lan|local|localdomain|localhost|onion|private|test"
)

_MAY_BE_NAMED = [
    ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1/128", "fc00::/7")
]

# where clouds give credentials away, besides 169.254.169.254, 192.0.0.192 and 100.100.100.200, which nobody can allow
_METADATA = [
    ip_network(text)
    for text in (
        "168.63.129.16",  # Azure
        "fd00:100::100:200",  # Alibaba
        "fd00:ec2::/32",  # Amazon: metadata, names, time, pod identity
        "fd20:ce::254",  # Google
        "fd00:c1::a9fe:a9fe",  # Oracle
        "fd00:42::42",  # Scaleway
        "fd00:a9fe:a9fe::1",  # Akamai
    )
]

# what `is_global` of some Python takes for public: https://www.iana.org/assignments/iana-ipv6-special-registry, -ipv4-
_SPECIAL = [
    ip_network(text)
    for text in (
        "192.0.0.0/24",  # protocol assignments
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT relays
        "192.88.99.0/24",  # 6to4 relays
        "192.175.48.0/24",  # AS112
        "224.0.0.0/4",  # multicast
        "::/3",  # all that is not 2000::/3: IPv4 mapped, compatible and translated (64:ff9b), discard only, and more
        "4000::/2",  # segment routing (5f00::/16)
        "8000::/1",  # private, link-local, site-local, multicast
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
]

# any other code of the resolver means that there is no such name, or that it has no address
_TEMPORARY = {socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_MEMORY, socket.EAI_SYSTEM}


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook's address, taken apart."""

    scheme: str
    host: str  # lower case; an IPv6 address in its shortest form, without brackets
    port: int
    path: str  # with the query

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_networks(text: str) -> list[Network]:
    """The networks in a comma-separated list.

    Raises:
        ValueError: names the first that is not written like 10.1.0.0/16, or is not private.
    """
    return [_private_network(part.strip()) for part in text.split(",") if part.strip()]


def parse(url: str, networks: Sequence[Network]) -> Target:
    """The parts of an address to which a webhook might go; `resolve` says whether it may.

    Args:
        networks: private networks that the operator has named; with any, http:// and private names are taken.

    Raises:
        WebhookRefused: the address could be read in two ways, or must not be used.
    """
    found = _URL.fullmatch(url) if len(url) <= _URL_MAX else None
    if found is None:
        raise WebhookRefused(_hint(url))
    scheme = found["scheme"].lower()
    if scheme == "http" and not networks:
        raise WebhookRefused(
            "Webhooks go by https:// only; http:// is for private networks, "
            "which the service's operator names in WEBHOOK_ALLOW_NETWORKS."
        )
    port = int(found["port"] or _DEFAULT_PORTS[scheme])
    if port > _PORT_MAX:
        raise WebhookRefused(_PORT_HINT)
    host = _ipv6(found["ipv6"]) if found["ipv6"] else _name_or_ipv4(found["name"].lower(), networks)
    return Target(scheme, host, port, (found["path"] or "/") + (found["query"] or ""))


def resolve(target: Target, networks: Sequence[Network]) -> list[Address]:
    """The addresses that a connection for this target may be made to, in the resolver's order.

    Blocks for as long as the resolver takes. One address that must not be reached refuses the name with all the others.

    Args:
        networks: private networks that the operator has named.

    Raises:
        WebhookRefused: unknown names and names of private addresses get the same sentence, so that nobody
            finds out which names exist inside.
        NamesUnavailable: the resolver cannot tell at the moment.
    """
    try:
        addresses = [ip_address(target.host)]
    except ValueError:
        addresses = _looked_up(target)
    if not addresses or not all(_may_receive(address, target.scheme, networks) for address in addresses):
        raise WebhookRefused(_refusal(target, networks))
    return list(dict.fromkeys(addresses))[:_ADDRESSES_MAX]


def _private_network(text: str) -> Network:
    try:
        # ip_network knows more forms: zones, and masks from either end
        network = ip_network(text) if re.fullmatch(r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?", text) else None
    except ValueError:
        network = None
    if network is None:
        raise ValueError(f"{text!r} is no network: write it like 10.1.0.0/16, with zeros behind the prefix")
    if not any(network[0] in known and network[-1] in known for known in _MAY_BE_NAMED):
        raise ValueError(f"{text} is no private network: it must lie within {', '.join(map(str, _MAY_BE_NAMED))}")
    return network


def _hint(url: str) -> str:
    if len(url) > _URL_MAX:
        return f"The address has {len(url):,} characters; at most {_URL_MAX:,} are taken."
    return next(hint for pattern, hint in _HINTS if re.search(pattern, url, re.ASCII | re.IGNORECASE))


def _ipv6(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except ValueError:
        raise WebhookRefused(_IPV6_HINT) from None


def _name_or_ipv4(name: str, networks: Sequence[Network]) -> str:
    ending = name.rpartition(".")[2]
    if _NUMBER.fullmatch(ending):
        try:
            return str(IPv4Address(name))
        except ValueError:
            raise WebhookRefused("A host that ends in a number must be an IPv4 address like 192.0.2.1.") from None
    if len(name) > _NAME_MAX:
        raise WebhookRefused(f"The host's name has {len(name):,} characters; at most {_NAME_MAX} are possible.")
    if not networks and (ending == name or _PRIVATE_ENDING.fullmatch(ending)):
        raise WebhookRefused(
            f"{name} is a private name: webhooks go to public addresses, and to private networks "
            "that the service's operator names in WEBHOOK_ALLOW_NETWORKS."
        )
    return name


def _looked_up(target: Target) -> list[Address]:
    try:
        answers = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        return [_address(socket_address) for *_, socket_address in answers]
    except ValueError:  # no name that can be asked for, or an answer that is no address
        return []
    except OSError as error:
        if isinstance(error, socket.gaierror) and error.errno not in _TEMPORARY:
            return []
        raise NamesUnavailable(f"{target.host} cannot be looked up at the moment: try again later.") from error


def _address(socket_address: tuple[Any, ...]) -> Address:
    text, _, *rest = socket_address
    zone = rest[-1] if rest else 0  # (address, port, flow, zone) for IPv6
    return ip_address(f"{text}%{zone}" if zone else str(text))


def _may_receive(address: Address, scheme: str, networks: Sequence[Network]) -> bool:
    if getattr(address, "scope_id", None) or any(address in network for network in _METADATA):
        return False
    if any(address in network for network in networks):
        return True
    return scheme == "https" and address.is_global and not any(address in network for network in _SPECIAL)


def _refusal(target: Target, networks: Sequence[Network]) -> str:
    if target.scheme == "http":
        wanted = "into a network that is allowed here, as http:// must"
    elif networks:
        wanted = "to a public address or into a network that is allowed here"
    else:
        wanted = "to a public address"
    return (
        f"{target.host} does not lead {wanted}, at least not with all its addresses. Check its spelling; "
        "private networks are allowed by the service's operator, in WEBHOOK_ALLOW_NETWORKS."
    )
