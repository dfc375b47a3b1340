"""A fake of Meta's side of an exchange, which replies from a list."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import httpx

from graph_simulator import published
from partner_connector.graph import GraphClient, GraphReader, ReadOnlyTransport

BASE_URL = "https://graph.facebook.com"
TOKEN = "EAAcanaryTOKENcanaryTOKENcanary0123456789"
APP_SECRET = "canary5ecretcanary5ecret"

Reply = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


def reply(content: Any, status: int = 200, **headers: str) -> httpx.Response:
    """Return a JSON response. Names of headers are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=content, headers=named)


def error(code: int, message: str = "Trouble", status: int = 400, **more: Any) -> httpx.Response:
    """Return an error response as Meta writes it."""
    fields = {"message": message, "code": code, "fbtrace_id": "Atrace", **more}
    return reply({"error": fields}, status)


class Meta:
    """A fake Meta that sends the next of `replies` to each request, and the last one forever."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.requests: list[httpx.Request] = []
        self.sleeps: list[float] = []
        self.http = httpx.AsyncClient(
            base_url=BASE_URL,
            transport=ReadOnlyTransport(httpx.MockTransport(self._answer), base_url=BASE_URL),
        )

    def client(self, **options: Any) -> GraphClient:
        """Return a client of this fake. Its waits are recorded, not slept."""
        return GraphClient(
            self.http,
            **{
                "app_id": "2965389650414399",
                "sleep": self._sleep,
                "jitter": lambda: 1.0,
                **options,
            },
        )

    def reader(self, token: str = TOKEN, **options: Any) -> GraphReader:
        return self.client(**options).reader(token)

    @property
    def urls(self) -> list[str]:
        return [str(request.url) for request in self.requests]

    def form(self, index: int = -1) -> dict[str, str]:
        """Return the form fields of one request."""
        return dict(httpx.QueryParams(self.requests[index].content.decode()))

    def operations(self, index: int = -1) -> list[dict[str, Any]]:
        """Return the operations of one batch."""
        operations: list[dict[str, Any]] = json.loads(self.form(index)["batch"])
        return operations

    async def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        assert not unpublished_parts(request), (
            "the client asks for something that Meta does not publish"
        )
        answer = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)


def unpublished_parts(request: httpx.Request) -> list[str]:
    """Return the parts of this request that Meta's documents do not have."""
    sent = request.content.decode() if request.method == "POST" else request.url.query.decode()
    return published.complaints(request.method, request.url.path, dict(parse_qsl(sent)))
