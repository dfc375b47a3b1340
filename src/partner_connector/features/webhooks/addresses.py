"""Checks of webhook addresses: messages go only to public servers, never to our own network.

The text of a URL is checked when an endpoint is created or changed. The addresses that its name
resolves to are checked at every delivery (`worker/delivery/sender.py`), since they can change.
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
# URL parsers disagree about user names, fragments, backslashes and brackets: the pattern allows
# none of them. The last label of a public name has only letters, so no form of IP address matches.
PUBLIC_URL = (
    r"^https://((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63})(?::443)?"
    rf"{_PATH}$"
)
_LOOPBACK_URL = re.compile(rf"http://{re.escape(LOOPBACK)}(?::[0-9]{{1,5}})?{_PATH}")
_MAX_NAME_LENGTH = 253
# Top-level names that no public server has (RFC 6761 and similar, and names of private networks).
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
            "168.63.129.16/32",  # metadata service of Azure, at a public address
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
# The public range of IPv6, and its parts that are not public or that embed an IPv4 address for an
# obsolete tunnel (Teredo in 2001::/23, 6to4).
_PUBLIC_V6 = IPv6Network("2000::/3")
_DENIED_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_NAT64 = IPv6Network("64:ff9b::/96")


class WebhookUrlRefused(Unprocessable):
    """The URL of a webhook endpoint is not the `https://` URL of a public server."""

    code = "webhook_url_refused"
    title = "Messages cannot be sent to this URL"
    description = (
        "Send an `https://` URL on port 443 with the public DNS name of your server. IP addresses, "
        "user names, fragments and names of private networks are refused."
    )


def require_sendable(url: str, *, allow_loopback: bool) -> None:
    """Raise `WebhookUrlRefused` unless this is the URL of a public server.

    `allow_loopback`, for development, also permits plain http to this machine.
    """
    if allow_loopback and _LOOPBACK_URL.fullmatch(url) and _has_port(url):
        return
    public = re.fullmatch(PUBLIC_URL, url)
    if public is None or not _is_public_name(public[1]):
        raise WebhookUrlRefused


def host_of(url: str) -> str:
    """Return the host name of an accepted URL."""
    return urlsplit(url).hostname or ""


def is_public(text: str) -> bool:
    """Return whether `text` is the IP address of a server on the public internet.

    Python's `is_global` is not enough: it differs between versions, and is true for multicast, for
    NAT64 of a private address and for other forms.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    inner = _effective_address(address)
    if isinstance(inner, IPv4Address):
        return not any(inner in network for network in _DENIED_V4)
    if inner.scope_id is not None or inner not in _PUBLIC_V6:
        return False
    return not any(inner in network for network in _DENIED_V6)


def _effective_address(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that is embedded in an IPv6 address, else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.scope_id is None and address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _is_public_name(name: str) -> bool:
    last = name.lower().rpartition(".")[2]
    return len(name) <= _MAX_NAME_LENGTH and last not in _SPECIAL_USE


def _has_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False
