"""The client of Meta's Graph API: one for a process, and a reader for each token."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import httpx

from partner_connector.graph.credentials import Credentials, ProofMode
from partner_connector.graph.errors import UnknownGraphError
from partner_connector.graph.reader import GraphReader
from partner_connector.graph.redact import HIDDEN
from partner_connector.graph.retry import jitter as random_jitter
from partner_connector.graph.tokens import TokenInspection
from partner_connector.graph.usage import Usage, UsageObserver, highest_percent
from partner_connector.graph.wire import Meter, Wire


class GraphClient:
    """What a process shares when it talks to Meta; it holds no partner's token."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        version: str = "v26.0",
        app_id: str,
        app_secret: str | None = None,
        appsecret_proof: ProofMode = ProofMode.OFF,
        concurrency: int = 8,
        deadline: float = 60.0,
        on_usage: UsageObserver | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random_jitter,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`http` comes from `open_http_client`, which makes it read-only and silent.

        `deadline` bounds one attempt as a whole, since a read timeout starts anew at each byte.
        """
        if appsecret_proof is not ProofMode.OFF and not app_secret:
            raise ValueError("a proof is made with the app's secret, and there is none")
        self._app_id = app_id
        self._app_secret = app_secret
        self._proof = appsecret_proof
        self._clock = clock
        self._wire = Wire(
            http,
            version=version,
            concurrency=concurrency,
            deadline=deadline,
            on_usage=on_usage,
            sleep=sleep,
            jitter=jitter,
        )

    @property
    def served_version(self) -> str | None:
        """The version that Meta says answered last, which need not be the one asked for."""
        return self._wire.served_version

    @property
    def usage(self) -> Mapping[str, Usage]:
        """The latest report on each allowance, by key."""
        return self._wire.usage

    @property
    def usage_percent(self) -> float:
        """The highest of the latest reports."""
        return highest_percent(list(self._wire.usage.values()))

    def reader(self, token: str) -> GraphReader:
        """A reader bound to this token; make one per job, it counts its own calls."""
        return GraphReader(self._wire, self._credentials(token))

    async def debug_token(self, token: str) -> TokenInspection:
        """Ask Meta about a token; the only call with a token in its URL, there is no other form.

        Asked with the app's token where its secret is known, else with the token itself, which
        works for some tokens only (4.1 [O]). A bad token is a verdict in the result.
        """
        app_token = f"{self._app_id}|{self._app_secret}" if self._app_secret else token
        credentials = self._credentials(app_token, also_secret=token)
        request = self._wire.get_request("debug_token", {"input_token": token})
        answer = await self._wire.exchange(request, credentials, Meter(), label="debug_token")
        if not isinstance(answer.content, dict) or not isinstance(answer.content.get("data"), dict):
            raise UnknownGraphError("debug_token answered without a verdict")
        return TokenInspection.from_answer(answer.content, secrets=credentials.secrets())

    def _credentials(self, token: str, *, also_secret: str | None = None) -> Credentials:
        return Credentials(
            token,
            proof=self._proof,
            app_secret=self._app_secret,
            clock=self._clock,
            also_secret=also_secret,
        )

    def __repr__(self) -> str:
        return f"GraphClient(app_id={self._app_id!r}, app_secret={HIDDEN})"
