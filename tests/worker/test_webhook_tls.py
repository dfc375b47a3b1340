"""Webhooks over real TLS: only a server with a trusted certificate gets the message."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trustme

from partner_connector.db.engine import Database
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.delivery.deliverer import Deliverer
from partner_connector.worker.delivery.sender import Outcome, Sender
from tests.support.detours import Detour, detoured
from tests.support.receivers import Receiver, receiver
from tests.worker.test_webhooks import deliveries, poll_deliverer, register

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NAME = "hooks.example.com"
URL = f"https://{NAME}/pc?customer=7"
ADDRESS = "2606:4700::1111"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """The certificate authority that the sender of these tests trusts."""
    return trustme.CA()


@pytest.fixture
def trusted(authority: trustme.CA) -> ssl.SSLContext:
    """The TLS context of a client that trusts this authority alone."""
    context = ssl.create_default_context(cafile=None)
    authority.configure_trust(context)
    return context


def certificate(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """Return a server's TLS context for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[Receiver]:
    """The customer's server, under its name."""
    with receiver(certificate(authority, NAME)) as running:
        yield running


async def resolve(_host: str, _port: int) -> Sequence[str]:
    """Return one public address for every name."""
    return [ADDRESS]


@asynccontextmanager
async def open_sender(
    port: int, trusted: ssl.SSLContext | None
) -> AsyncIterator[tuple[Sender, Detour]]:
    """Yield a sender that connects every address to this port."""
    detour = Detour(port)
    sender = Sender(resolve=resolve, transport=detoured(detour, trusted))
    yield sender, detour
    await sender.close()


@ONLY_SQLITE
async def test_message_is_sent_to_server_with_valid_certificate(
    api: httpx.AsyncClient,
    database: Database,
    context: WorkerContext,
    server: Receiver,
    trusted: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Check the whole way from the API to the verified signature: the resolved address, the `Host`
    header, and no proxy of the environment.
    """
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    made = await register(api, server, url=URL)
    tested = await api.post(f"/v1/webhook-endpoints/{made['id']}/test")
    async with open_sender(server.port, trusted) as (sender, detour):
        await poll_deliverer(Deliverer(context, sender))
    seen = (await api.get(tested.headers["Location"])).json()
    assert (seen["status"], seen["last_error"], seen["last_status_code"]) == (
        "delivered",
        None,
        204,
    )
    (request,) = server.accepted
    assert request.headers["Host"] == NAME
    assert detour.asked == [(ADDRESS, 443)]


@ONLY_SQLITE
@pytest.mark.parametrize("names", [("elsewhere.example.com",), (ADDRESS,)])
async def test_certificate_of_another_name_is_refused(
    api: httpx.AsyncClient,
    database: Database,
    context: WorkerContext,
    authority: trustme.CA,
    trusted: ssl.SSLContext,
    names: tuple[str, ...],
) -> None:
    """Send nothing to such a server, even if its certificate names the address, and show the owner
    the reason.
    """
    with receiver(certificate(authority, *names)) as impostor:
        made = await register(api, impostor, url=URL)
        await api.post(f"/v1/webhook-endpoints/{made['id']}/test")
        async with open_sender(impostor.port, trusted) as (sender, detour):
            await poll_deliverer(Deliverer(context, sender))
        assert impostor.requests == []
    (refused,) = await deliveries(database)
    assert detour.asked == [(ADDRESS, 443)]
    assert (refused.status, refused.last_error) == ("pending", "tls_failed")
    path = f"/v1/webhook-endpoints/{made['id']}/deliveries"
    assert (await api.get(path)).json()["items"][0]["last_error"] == "tls_failed"


async def test_authority_of_environment_is_not_trusted(
    authority: trustme.CA, server: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
async def test_message_is_never_sent_without_tls(trusted: ssl.SSLContext, answer: bytes) -> None:
    """Cover a server without TLS, and one that answers in clear text."""
    received = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.read(4000))
        writer.write(answer)
        writer.close()

    async with (
        await asyncio.start_server(listen, "127.0.0.1", 0) as server,
        open_sender(server.sockets[0].getsockname()[1], trusted) as (sender, _),
    ):
        outcome = await sender.send(URL, '{"type": "x"}', {"webhook-id": "msg_1"})
    assert outcome.error == "tls_failed"
    assert received[0] == 0x16, "a TLS handshake"
    assert b"msg_1" not in received
    assert b"customer" not in received
