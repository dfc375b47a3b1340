"""Where a message may go: to a public server by its name, and nowhere into our own network.

An endpoint's URL is judged when it is given, by its text alone. What its name leads to is judged
at every delivery (`delivery.sending`), since that may change at any time.
"""

import re
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from urllib.parse import urlsplit

from partner_connector.errors import Unprocessable

LOOPBACK = "127.0.0.1"

_PATH = r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
# Nothing that can be read in two ways: no user, no fragment, no backslash, no bracket. The last
# label of a public name is made of letters, which keeps every spelling of an address out.
PUBLIC_URL = (
    r"^https://((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63})(?::443)?"
    rf"{_PATH}$"
)
_LOOPBACK_URL = re.compile(rf"http://{re.escape(LOOPBACK)}(?::[0-9]{{1,5}})?{_PATH}")
_LONGEST_NAME = 253
# Names of these never belong to a public server (RFC 6761 and its like, and what networks use).
_SPECIAL_USE = frozenset(
    {
        "alt",
        "arpa",
        "cluster",
        "corp",
        "example",
        "home",
        "internal",
        "intranet",
        "invalid",
        "lan",
        "local",
        "localdomain",
        "localhost",
        "onion",
        "private",
        "svc",
        "test",
    }
)

_DENIED_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "168.63.129.16/32",  # what Azure tells its machines, at a public address
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
# All that is in use of the public internet; and what of it is not public, or holds an IPv4 address
# for a tunnel (Teredo in 2001::/23, 6to4), of which nobody is reached any more.
_PUBLIC_V6 = IPv6Network("2000::/3")
_DENIED_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_NAT64 = IPv6Network("64:ff9b::/96")


class WebhookUrlRefused(Unprocessable):
    """Where we do not send."""

    code = "webhook_url_refused"
    title = "Messages are not sent to such a URL"
    description = (
        "`url` must be `https://`, on port 443, with the public DNS name of a server: no address "
        "in digits, no user, no fragment, and no name that only a private network knows."
    )


def require_sendable(url: str, *, allow_loopback: bool) -> None:
    """Raise `WebhookUrlRefused` for a URL that is not, or cannot be read as, a public server's.

    `allow_loopback`, for development, also permits plain http to this machine.
    """
    if allow_loopback and _LOOPBACK_URL.fullmatch(url) and _has_port(url):
        return
    public = re.fullmatch(PUBLIC_URL, url)
    if public is None or not _is_public_name(public[1]):
        raise WebhookUrlRefused


def host_of(url: str) -> str:
    """The name of the server in a URL that was accepted."""
    return urlsplit(url).hostname or ""


def is_public(text: str) -> bool:
    """Whether this is the address of a server on the public internet.

    Python's `is_global` is no answer: it differs between versions, and takes multicast, NAT64 of a
    private address and other forms for global.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    inner = _unwrapped(address)
    if isinstance(inner, IPv4Address):
        return not any(inner in network for network in _DENIED_V4)
    if inner.scope_id is not None or inner not in _PUBLIC_V6:
        return False
    return not any(inner in network for network in _DENIED_V6)


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that is really spoken to, behind a form that stands for one."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.scope_id is None and address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _is_public_name(name: str) -> bool:
    last = name.lower().rpartition(".")[2]
    return len(name) <= _LONGEST_NAME and last not in _SPECIAL_USE


def _has_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False
