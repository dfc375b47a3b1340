"""Redirection of outgoing connections to a port of this machine.

So a local server of a test can replace a server with a public address.
"""

import ssl
from typing import Any

import httpcore
import httpx


class Detour(httpcore.AsyncNetworkBackend):
    """Network backend that records each requested address and connects to a local port instead."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[tuple[str, int]] = []
        self._real = httpcore.AnyIOBackend()

    async def connect_tcp(
        self, host: str, port: int, *_: Any, **__: Any
    ) -> httpcore.AsyncNetworkStream:
        """Record the address and connect to the local port."""
        self.asked.append((host, port))
        return await self._real.connect_tcp("127.0.0.1", self.port)


def detoured(detour: Detour, trusted: ssl.SSLContext | None = None) -> httpx.AsyncHTTPTransport:
    """Return httpx's own transport, TLS included, with this network backend."""
    transport = httpx.AsyncHTTPTransport(
        verify=True if trusted is None else trusted, trust_env=False
    )
    transport._pool._network_backend = detour
    return transport
