"""A way to be a public server: what is meant for the internet comes to a port of this machine."""

import ssl
from typing import Any

import httpcore
import httpx


class Detour(httpcore.AsyncNetworkBackend):
    """Notes who is to be connected to, and connects to a server of this test in their place."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[tuple[str, int]] = []
        self._real = httpcore.AnyIOBackend()

    async def connect_tcp(
        self, host: str, port: int, *_: Any, **__: Any
    ) -> httpcore.AsyncNetworkStream:
        """As a router would that leads all of the internet here."""
        self.asked.append((host, port))
        return await self._real.connect_tcp("127.0.0.1", self.port)


def detoured(detour: Detour, trusted: ssl.SSLContext | None = None) -> httpx.AsyncHTTPTransport:
    """The HTTP library's own transport, TLS and all, on that way."""
    transport = httpx.AsyncHTTPTransport(
        verify=True if trusted is None else trusted, trust_env=False
    )
    transport._pool._network_backend = detour
    return transport
