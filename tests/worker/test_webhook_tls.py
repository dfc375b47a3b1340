"""Messages over real TLS: to the server that proves its name to a known authority, and no other."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trustme

from partner_connector.db.engine import Database
from partner_connector.worker.context import Workshop
from partner_connector.worker.delivery.deliverer import Deliverer
from partner_connector.worker.delivery.sender import Outcome, Sender
from tests.support.detours import Detour, detoured
from tests.support.receivers import Receiver, receiver
from tests.worker.test_webhooks import deliveries, look, register

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NAME = "hooks.example.com"
URL = f"https://{NAME}/pc?customer=7"
ADDRESS = "2606:4700::1111"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Whom the sender of these tests believes."""
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA) -> ssl.SSLContext:
    """As a client that knows this authority alone."""
    context = ssl.create_default_context(cafile=None)
    authority.configure_trust(context)
    return context


def certificate(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """A server's, for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[Receiver]:
    """The customer's, under its name."""
    with receiver(certificate(authority, NAME)) as running:
        yield running


async def resolve(_host: str, _port: int) -> Sequence[str]:
    """One public address, whatever is asked for."""
    return [ADDRESS]


@asynccontextmanager
async def sending(
    port: int, trusted: ssl.SSLContext | None
) -> AsyncIterator[tuple[Sender, Detour]]:
    """All of the internet is at this port."""
    detour = Detour(port)
    sender = Sender(resolve=resolve, transport=detoured(detour, trusted))
    yield sender, detour
    await sender.close()


@ONLY_SQLITE
async def test_a_message_goes_to_who_proves_its_name(
    api: httpx.AsyncClient,
    database: Database,
    shop: Workshop,
    server: Receiver,
    trusted: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the API's endpoint to the receiver's verified signature, at the address that was looked
    at, with the name in `Host`, past every proxy that the environment names.
    """
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    made = await register(api, server, url=URL)
    tested = await api.post(f"/v1/webhook-endpoints/{made['id']}/test")
    async with sending(server.port, trusted) as (sender, detour):
        await look(Deliverer(shop, sender))
    seen = (await api.get(tested.headers["Location"])).json()
    assert (seen["status"], seen["last_error"], seen["last_status_code"]) == (
        "delivered",
        None,
        204,
    )
    (came,) = server.accepted
    assert came.headers["Host"] == NAME
    assert detour.asked == [(ADDRESS, 443)]


@ONLY_SQLITE
@pytest.mark.parametrize("names", [("elsewhere.example.com",), (ADDRESS,)])
async def test_another_servers_certificate(
    api: httpx.AsyncClient,
    database: Database,
    shop: Workshop,
    authority: trustme.CA,
    trusted: ssl.SSLContext,
    names: tuple[str, ...],
) -> None:
    """Refused, for the owner to see why, before a word of the message is said; that it is good for
    the address does not help.
    """
    with receiver(certificate(authority, *names)) as impostor:
        made = await register(api, impostor, url=URL)
        await api.post(f"/v1/webhook-endpoints/{made['id']}/test")
        async with sending(impostor.port, trusted) as (sender, detour):
            await look(Deliverer(shop, sender))
        assert impostor.requests == []
    (refused,) = await deliveries(database)
    assert detour.asked == [(ADDRESS, 443)]
    assert (refused.status, refused.last_error) == ("pending", "tls_failed")
    path = f"/v1/webhook-endpoints/{made['id']}/deliveries"
    assert (await api.get(path)).json()["items"][0]["last_error"] == "tls_failed"


async def test_the_environment_names_no_authority(
    authority: trustme.CA, server: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only those that everybody believes count."""
    authority.cert_pem.write_to_path(str(tmp_path / "own.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    detour = Detour(server.port)
    sender = Sender(resolve=resolve)
    sender._http._transport._pool._network_backend = detour  # type: ignore[attr-defined] # httpx's
    outcome = await sender.send(URL, "{}", {})
    await sender.close()
    assert (outcome, server.requests) == (Outcome(error="tls_failed"), [])


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 204 No Content\r\n\r\n"])
async def test_nothing_is_said_in_clear(trusted: ssl.SSLContext, answer: bytes) -> None:
    """To a server that speaks no TLS, or only once it is spoken to."""
    heard = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read(4000))
        writer.write(answer)
        writer.close()

    async with (
        await asyncio.start_server(listen, "127.0.0.1", 0) as server,
        sending(server.sockets[0].getsockname()[1], trusted) as (sender, _),
    ):
        outcome = await sender.send(URL, '{"type": "x"}', {"webhook-id": "msg_1"})
    assert outcome.error == "tls_failed"
    assert heard[0] == 0x16, "a TLS handshake"
    assert b"msg_1" not in heard
    assert b"customer" not in heard
