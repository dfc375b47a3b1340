"""Client of Meta's Graph API: one per process, which makes a reader for each token."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import httpx

from partner_connector.graph.budget_cache import BudgetStore
from partner_connector.graph.budgets import Budget
from partner_connector.graph.credentials import AppsecretProofMode, Credentials
from partner_connector.graph.errors import UnknownGraphError
from partner_connector.graph.reader import GraphReader
from partner_connector.graph.redact import HIDDEN
from partner_connector.graph.retry import jitter as random_jitter
from partner_connector.graph.sender import Instrumentation, Meter, RequestSender, no_instrumentation
from partner_connector.graph.tokens import TokenInspection


class GraphClient:
    """Connection of a process to Meta, shared by all readers. It holds no partner's token."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        version: str = "v26.0",
        app_id: str,
        app_secret: str | None = None,
        appsecret_proof: AppsecretProofMode = AppsecretProofMode.OFF,
        concurrency: int = 8,
        deadline: float = 60.0,
        budgets: BudgetStore | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random_jitter,
        clock: Callable[[], float] = time.time,
        instrument: Instrumentation = no_instrumentation,
        on_throttle: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Create the client. Raise `ValueError` for an `appsecret_proof` without `app_secret`.

        `http` comes from `open_http_client`, which makes it read-only and keeps URLs out of logs.
        `deadline` limits one whole attempt, in seconds: a read timeout alone restarts with each
        byte. `concurrency` is the maximum of concurrent calls over all readers; it is reduced while
        Meta's servers fail and near the app's limit. `budgets` shares rate-limit budgets between
        processes. `instrument` is called with the edge and the number of reads of each request; its
        context manager yields a function that takes the outcome: `ok`, or the class of the error.
        `on_throttle` is called with the limit's scope for each throttled read, in a batch or alone.
        """
        if appsecret_proof is not AppsecretProofMode.OFF and not app_secret:
            raise ValueError("appsecret_proof needs the app's secret")
        self._app_id = app_id
        self._app_secret = app_secret
        self._appsecret_proof = appsecret_proof
        self._clock = clock
        self._sender = RequestSender(
            http=http,
            version=version,
            app_id=app_id,
            concurrency=concurrency,
            deadline=deadline,
            store=budgets,
            sleep=sleep,
            jitter=jitter,
            clock=clock,
            instrument=instrument,
            on_throttle=on_throttle,
        )

    @property
    def version(self) -> str:
        """Version of the Graph API that every call asks for."""
        return self._sender.version

    @property
    def budgets(self) -> Mapping[str, Budget]:
        """Budgets by key: only those that slow down or block calls now or did within an hour."""
        return self._sender.budget_cache.budgets

    @property
    def calls_at_once(self) -> int:
        """Maximum of concurrent calls at this time."""
        return self._sender.slots.limit

    async def settle(self) -> None:
        """Wait until all changed budgets are saved. Call it before the store is closed."""
        await self._sender.budget_cache.settle()

    def reader(self, token: str, *, account: str = "", app_id: str = "") -> GraphReader:
        """Return a reader for this token. Make one per job, because it counts its own calls.

        `account` is a name of the token under which all readers share its budget; never the token
        itself. Without it only this reader knows the token's budget. `app_id` is the app that the
        token was issued for, where it may differ from the client's: that app has its own limits.
        """
        meter = Meter(account=account, app_id=app_id)
        return GraphReader(self._sender, self._credentials(token), meter)

    async def debug_token(self, token: str) -> TokenInspection:
        """Return Meta's inspection of a token. An invalid token is a result, not an error.

        This is the only call with a token in its URL: Meta offers no other form. It is signed with
        the app's token if the app's secret is known, else with the token itself, which works for
        some tokens only (`docs/reference/graph-facts.md#debug-token`).
        """
        app_token = f"{self._app_id}|{self._app_secret}" if self._app_secret else token
        credentials = self._credentials(app_token, also_secret=token)
        request = self._sender.get_request("debug_token", {"input_token": token})
        # The app's token has its own limits, which all inspections share.
        meter = Meter(account=f"app:{self._app_id}" if self._app_secret else "")
        answer = await self._sender.exchange(request, credentials, meter, label="debug_token")
        if not isinstance(answer.content, dict) or not isinstance(answer.content.get("data"), dict):
            raise UnknownGraphError("Meta's answer of debug_token has no result")
        return TokenInspection.from_answer(answer.content, secrets=credentials.secrets())

    def _credentials(self, token: str, *, also_secret: str | None = None) -> Credentials:
        return Credentials(
            token,
            appsecret_proof=self._appsecret_proof,
            app_secret=self._app_secret,
            clock=self._clock,
            also_secret=also_secret,
        )

    def __repr__(self) -> str:
        return f"GraphClient(app_id={self._app_id!r}, app_secret={HIDDEN})"
