"""Allowed webhook targets, by the text of a URL and by the addresses of its host name."""

import asyncio
import contextlib
import inspect
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from partner_connector.features.webhooks import addresses
from partner_connector.features.webhooks.addresses import (
    WebhookUrlRefused,
    is_public,
    require_sendable,
)
from partner_connector.worker.delivery.sender import Outcome, Sender, parse_retry_after
from tests.support.detours import Detour, detoured

HOSTILE = [
    "http://hooks.example.com/",
    "ftp://hooks.example.com/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "https://",
    "https:127.0.0.1",
    "//127.0.0.1/",
    "https://localhost/",
    "https://localhost./",
    "https://foo.localhost/",
    "https://127.0.0.1/",
    "https://127.0.0.1./",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://127.0.0.1:22/",
    "https://0/",
    "https://10.0.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://metadata.google.internal/",
    "https://8.8.8.8/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[fe80::1%25eth0]/",
    "https://[2606:4700::1111]/",
    "https://user:pass@hooks.example.com/",
    "https://hooks.example.com@127.0.0.1/",
    "https://127.0.0.1\\@hooks.example.com/",
    "https://hooks.example.com#@127.0.0.1/",
    "https://127。0。0。1/",
    "https://①②⑦.⓪.⓪.①/",
    "https://127.0.0.1%00.example.com/",
    "https://hooks.example.com:22/",
    "https://hooks.example.com:99999/",
    "https://intranet/",
    "https://service.internal/",
    "https://a.local/",
    "https://kubernetes.default.svc/",
    "https://hooks.example.com./",
    "https://-a.example.com/",
    "https://a..com/",
    "https://hooks.example.com/#x",
    "https://hooks.exämple.com/",
    "https://hooks.example.com/ä",
    "https://a.test/",
    "https://printer.home.arpa/",
    "https://hooks.example.com:443@10.0.0.1:22/",
    "HTTPS://hooks.example.com/",
    "https://exa mple.com/",
    "https://hooks.example.com/ HTTP/1.1",
    "https://a.com/\r\n",
]

NOT_PUBLIC = [
    "0.0.0.0",  # noqa: S104 - no socket is opened
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.254",
    "168.63.129.16",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "100::1",
    "2001:10::1",
    "2606:4700::1%eth0",
    "127.1",
    "2130706433",
    "localhost",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_hostile_url_is_refused(url: str) -> None:
    """Accept only names of public servers."""
    for allow_loopback in (False, True):
        with pytest.raises(WebhookUrlRefused):
            require_sendable(url, allow_loopback=allow_loopback)


def test_public_name_and_allowed_loopback_are_accepted() -> None:
    for url in (
        "https://hooks.example.com",
        "https://a.b.io:443/x/%20?a=b&c=d@e",
        "https://A.com/",
    ):
        require_sendable(url, allow_loopback=False)
    for url in ("http://127.0.0.1/", "http://127.0.0.1:8080/hooks?x=1"):
        require_sendable(url, allow_loopback=True)
        with pytest.raises(WebhookUrlRefused):
            require_sendable(url, allow_loopback=False)
    for url in ("http://127.0.0.1:0/", "http://127.0.0.1:99999/", "http://127.0.0.2/"):
        with pytest.raises(WebhookUrlRefused):
            require_sendable(url, allow_loopback=True)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_non_public_address_is_refused(address: str) -> None:
    """Cover private, reserved and multicast addresses, and every form that stands for one."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "192.0.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_public_address_is_accepted(address: str) -> None:
    """Include addresses behind NAT64."""
    assert is_public(address)


def test_address_ranges_do_not_depend_on_python_version() -> None:
    """Never ask `ipaddress`, whose answers differ between versions of Python."""
    assert not re.search(r"\.is_[a-z_]+\b", inspect.getsource(addresses))


async def attempt(found: Sequence[str]) -> tuple[str | None, list[str]]:
    """Send a message to a name with these addresses.

    Return the error and the names that were resolved.
    """
    asked = []

    async def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return found

    sender = Sender(resolve=resolve)
    try:
        outcome = await sender.send("https://hooks.example.com/", "{}", {})
    finally:
        await sender.close()
    return outcome.error, asked


async def test_name_with_any_non_public_address_is_refused() -> None:
    """Refuse also a name without addresses."""
    for found in (["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["2606:4700::1111", "::1"], []):
        assert await attempt(found) == ("address_not_public", ["hooks.example.com"])


async def test_sender_connects_to_the_checked_address() -> None:
    """Ignore a later change of the name, and ask for TLS with the name."""
    first_bytes = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first_bytes.set_result(await reader.read(2000))
        writer.close()

    answers = [["8.8.8.8", "2606:4700::1111"], ["127.0.0.1"]]

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return answers.pop(0)

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        detour = Detour(server.sockets[0].getsockname()[1])
        sender = Sender(resolve=resolve, transport=detoured(detour))
        outcome = await sender.send("https://hooks.example.com/x", "{}", {})
        await sender.close()
        hello = await first_bytes
    assert outcome.error == "tls_failed"
    assert detour.asked == [("8.8.8.8", 443)]
    assert answers == [["127.0.0.1"]]
    assert hello[0] == 0x16, "a TLS handshake"
    assert b"hooks.example.com" in hello


async def test_sender_ignores_redirects_proxies_and_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach this machine only where loopback is allowed."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    lines = (
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 100_000,
        b"HTTP/1.1 429 Slow\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n",
        b"nonsense\r\n\r\n",
    )
    outcomes = []
    for line in lines:

        async def answer(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: bytes = line
        ) -> None:
            await reader.read(2000)
            writer.write(line)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            sender = Sender(allow_loopback=True)
            outcomes.append(await sender.send(url, "{}", {}))
            await sender.close()
    strict = Sender()
    assert await strict.send(url, "{}", {}) == Outcome(error="address_not_public")
    await strict.close()
    assert outcomes == [
        Outcome(302, "http_status"),
        Outcome(200),
        Outcome(429, "http_status", timedelta(seconds=120)),
        Outcome(error="connection_failed"),
    ]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        ("99999999999", 24 * 3600),
        ("Tue, 24 Nov 2026 12:01:00 GMT", 60),
        ("Tue, 24 Nov 2026 11:59:00 GMT", None),
        ("-1", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(value: str, seconds: int | None) -> None:
    """Ignore malformed values."""
    at = datetime(2026, 11, 24, 12, tzinfo=UTC)
    asked = parse_retry_after(value, at)
    assert asked == (None if seconds is None else timedelta(seconds=seconds))
