"""The client of Meta's Graph API: one for a process, and a reader for each token."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import httpx

from partner_connector.graph.budgets import Budget
from partner_connector.graph.credentials import Credentials, ProofMode
from partner_connector.graph.errors import UnknownGraphError
from partner_connector.graph.ledger import BudgetStore
from partner_connector.graph.reader import GraphReader
from partner_connector.graph.redact import HIDDEN
from partner_connector.graph.retry import jitter as random_jitter
from partner_connector.graph.tokens import TokenInspection
from partner_connector.graph.wire import Meter, Watch, Wire, unwatched


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
        budgets: BudgetStore | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random_jitter,
        clock: Callable[[], float] = time.time,
        watch: Watch = unwatched,
        on_throttle: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`http` comes from `open_http_client`, which makes it read-only and silent.

        `deadline` bounds one attempt as a whole, in seconds, since a read timeout starts anew at
        each byte. `concurrency` is the most calls at once over all readers; there are fewer while
        Meta is in trouble and near the app's limit. `budgets` is where several processes share
        what they know of Meta's limits. `watch` is entered for each request that is sent, with its
        edge and its number of reads, and told `ok` or the class of its error. `on_throttle` is told
        of each read that Meta refused for a limit, alone or within a batch, and on what that limit
        is set.
        """
        if appsecret_proof is not ProofMode.OFF and not app_secret:
            raise ValueError("a proof is made with the app's secret, and there is none")
        self._app_id = app_id
        self._app_secret = app_secret
        self._proof = appsecret_proof
        self._clock = clock
        self._wire = Wire(
            http=http,
            version=version,
            app_id=app_id,
            concurrency=concurrency,
            deadline=deadline,
            store=budgets,
            sleep=sleep,
            jitter=jitter,
            clock=clock,
            watch=watch,
            on_throttle=on_throttle,
        )

    @property
    def version(self) -> str:
        """The version that is sent with every call."""
        return self._wire.version

    @property
    def budgets(self) -> Mapping[str, Budget]:
        """What is known of Meta's limits, by key: those that are nearly or wholly used up."""
        return self._wire.ledger.budgets

    @property
    def calls_at_once(self) -> int:
        """How many calls may be under way now."""
        return self._wire.slots.limit

    async def settle(self) -> None:
        """Wait until what was learnt of Meta's limits is shared; before the store is closed."""
        await self._wire.ledger.settle()

    def reader(self, token: str, *, account: str = "", app_id: str = "") -> GraphReader:
        """A reader bound to this token; make one per job, it counts its own calls.

        `account` names the token for all who share budgets, by anything but the token; without
        it the token's limits are known to this reader alone. `app_id` is the app that the token
        was made for, where that may be another than the client's: its limits are then not ours.
        """
        meter = Meter(account=account, app_id=app_id)
        return GraphReader(self._wire, self._credentials(token), meter)

    async def debug_token(self, token: str) -> TokenInspection:
        """Ask Meta about a token; the only call with a token in its URL, there is no other form.

        Asked with the app's token where its secret is known, else with the token itself, which
        works for some tokens only (4.1 [O]). A bad token is a verdict in the result.
        """
        app_token = f"{self._app_id}|{self._app_secret}" if self._app_secret else token
        credentials = self._credentials(app_token, also_secret=token)
        request = self._wire.get_request("debug_token", {"input_token": token})
        # The app's token has limits of its own, which all inspections share.
        meter = Meter(account=f"app:{self._app_id}" if self._app_secret else "")
        answer = await self._wire.exchange(request, credentials, meter, label="debug_token")
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
