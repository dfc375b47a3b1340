"""What Meta shows about a token (CALL_PLANS b): every read that was refused stays unknown.

Transient failures are raised and never become evidence: a verdict is not flipped by a bad minute.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from partner_connector.graph import (
    REQUIRED_SCOPES,
    GraphClient,
    GraphError,
    GraphReader,
    NotFoundOrForbidden,
    Read,
    TokenDead,
    TokenInspection,
    edges,
    nested_page,
    page_from,
)
from partner_connector.sync.shared_assets import (
    OURS_TO_PARTNER,
    THEIRS_TO_US,
    SharedAsset,
    shared_assets,
)
from partner_connector.validation.host_view import shared_by_us


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose token is to be proven. `partner_business_id` is None for our own business's token."""

    host_business_id: str
    partner_business_id: str | None
    partner_is_listed: bool
    app_id: str

    @property
    def business_id(self) -> str:
        """The business that the token must belong to."""
        return self.partner_business_id or self.host_business_id


@dataclass(slots=True)
class Evidence:
    """What was seen. None means that Meta did not show it."""

    inspection: TokenInspection | None = None
    dead: TokenDead | None = None
    me_id: str | None = None
    app_id: str | None = None
    scopes: frozenset[str] | None = None
    business_ids: frozenset[str] | None = None
    business_is_visible: bool | None = None
    system_users: Sequence[Mapping[str, Any]] | None = None
    app_ids_of_business: frozenset[str] | None = None
    can_list_business_users: bool | None = None
    can_list_assigned_users: bool | None = None
    shared: list[SharedAsset] = field(default_factory=list)
    shares_are_complete: bool = True
    # What our own business says it shares, read only for a token that is narrowed.
    shared_by_us: list[SharedAsset] | None = None
    # The token's own tasks on each shared asset, by (type, meta id); None where not shown.
    own_tasks: dict[tuple[str, str], frozenset[str] | None] = field(default_factory=dict)

    @property
    def is_narrowed(self) -> bool:
        """Whether a permission that the checks rest on covers some objects only."""
        granular = self.inspection.granular_scopes if self.inspection else {}
        return any(granular.get(scope) is not None for scope in REQUIRED_SCOPES)

    @property
    def system_user_id(self) -> str | None:
        """Who the token is."""
        return (self.inspection.user_id if self.inspection else None) or self.me_id

    @property
    def system_user(self) -> Mapping[str, Any] | None:
        """The token's own row in the list of the business's system users."""
        for row in self.system_users or ():
            if row.get("id") == self.system_user_id:
                return row
        return None


async def gather(
    graph: GraphClient,
    token: str,
    subject: Subject,
    host_reader: GraphReader | None,
) -> Evidence:
    """Everything that the checks look at. Raises `GraphError` only where waiting may help."""
    evidence = Evidence(inspection=await _inspect(graph, token))
    if evidence.inspection is not None and not evidence.inspection.is_valid:
        return evidence
    reader = graph.reader(token)
    try:
        await _read_own_view(reader, subject, evidence)
        if subject.partner_business_id is not None and evidence.me_id is not None:
            await _read_shared_assets(reader, host_reader, subject, evidence)
            await _read_own_tasks(reader, subject.business_id, evidence)
            if evidence.is_narrowed and host_reader is not None:
                evidence.shared_by_us = await shared_by_us(
                    host_reader,
                    host_business_id=subject.host_business_id,
                    partner_business_id=subject.partner_business_id,
                )
    except TokenDead as error:
        evidence.dead = error
    return evidence


async def _inspect(graph: GraphClient, token: str) -> TokenInspection | None:
    try:
        return await graph.debug_token(token)
    except GraphError as error:
        if error.transient:
            raise
        # Refused: without the app's secret Meta may not let a token inspect itself (4.1).
        return None


async def _read_own_view(reader: GraphReader, subject: Subject, evidence: Evidence) -> None:
    business = subject.business_id
    me, app, permissions, businesses, system_users, apps, people = await _tolerant_batch(
        reader,
        [
            edges.me(),
            edges.token_app(),
            edges.my_permissions(),
            edges.my_businesses(),
            edges.system_users(business),
            edges.partner_apps(business),
            edges.business_users(business, limit=1),
        ],
    )
    evidence.me_id = _text(me, "id")
    evidence.app_id = _text(app, "id")
    evidence.scopes = _granted(permissions)
    evidence.business_is_visible = await _is_visible(reader, business)
    evidence.can_list_business_users = people is not None
    if businesses is not None:
        evidence.business_ids = frozenset(str(row.get("id")) for row in page_from(businesses).rows)
    if system_users is not None:
        evidence.system_users = await _all_rows(reader, edges.system_users(business), system_users)
    if apps is not None:
        owned, requested = nested_page(apps, "owned_apps"), nested_page(apps, "client_apps")
        evidence.app_ids_of_business = frozenset(
            str(row.get("id")) for row in [*owned.rows, *requested.rows]
        )


async def _is_visible(reader: GraphReader, business_id: str) -> bool | None:
    """False where there is no such business for this token; None where Meta only refuses."""
    try:
        await reader.get(edges.business(business_id))
    except NotFoundOrForbidden:
        return False
    except GraphError as error:
        if error.transient or isinstance(error, TokenDead):
            raise
        return None
    return True


async def _read_shared_assets(
    reader: GraphReader, host_reader: GraphReader | None, subject: Subject, evidence: Evidence
) -> None:
    assert subject.partner_business_id is not None
    host, partner = subject.host_business_id, subject.partner_business_id
    async for found in shared_assets(
        reader, shared_to=partner, owned_by=host, direction=OURS_TO_PARTNER
    ):
        evidence.shared.extend(found.assets)
        evidence.shares_are_complete &= found.refusal is None and not found.without_owner
    if host_reader is None:
        evidence.shares_are_complete = False
        return
    try:
        async for found in shared_assets(
            host_reader, shared_to=host, owned_by=partner, direction=THEIRS_TO_US
        ):
            evidence.shared.extend(found.assets)
            evidence.shares_are_complete &= found.refusal is None
    except TokenDead:
        # Our own token's trouble is not the partner's.
        evidence.shares_are_complete = False


async def _read_own_tasks(reader: GraphReader, business_id: str, evidence: Evidence) -> None:
    """The system user's tasks on each shared asset.

    Ad accounts and Pages from `assigned_*` of the token; catalogs and pixels, which tell no tasks
    there (3.4, 12.6), from the asset's own list of users.
    """
    own: dict[tuple[str, str], frozenset[str] | None] = {}
    for asset_type, read in (
        ("ad_account", edges.assigned_ad_accounts("me")),
        ("page", edges.assigned_pages("me")),
    ):
        rows = await _rows_or_none(reader, read)
        for asset in evidence.shared:
            if asset.type == asset_type:
                own[asset.type, asset.meta_id] = None if rows is None else frozenset()
        for row in rows or ():
            meta_id = str(row.get("account_id") or row.get("id")).removeprefix("act_")
            own[asset_type, meta_id] = frozenset(str(task) for task in row.get("tasks", ()))
    others = [asset for asset in evidence.shared if asset.type in {"product_catalog", "pixel"}]
    answers = await _tolerant_batch(
        reader, [edges.assigned_users(asset.path, business_id) for asset in others]
    )
    for asset, answer in zip(others, answers, strict=True):
        own[asset.type, asset.meta_id] = _tasks_of(evidence.system_user_id, answer)
    evidence.own_tasks = own
    await _try_assigned_users(reader, business_id, evidence, answers)


async def _try_assigned_users(
    reader: GraphReader,
    business_id: str,
    evidence: Evidence,
    answers: Sequence[dict[str, Any] | None],
) -> None:
    if answers:
        evidence.can_list_assigned_users = any(answer is not None for answer in answers)
        return
    accounts = [asset for asset in evidence.shared if asset.type == "ad_account"]
    if accounts:
        read = edges.assigned_users(accounts[0].path, business_id, limit=1)
        evidence.can_list_assigned_users = await _tolerant_batch(reader, [read]) != [None]


def _tasks_of(user_id: str | None, answer: dict[str, Any] | None) -> frozenset[str] | None:
    if answer is None:
        return None
    page = page_from(answer)
    for row in page.rows:
        if row.get("id") == user_id:
            return frozenset(str(task) for task in row.get("tasks", ()))
    # Not on the first page of a long list proves nothing.
    return None if page.next_cursor else frozenset()


async def _tolerant_batch(
    reader: GraphReader, reads: Sequence[Read]
) -> list[dict[str, Any] | None]:
    """None for what Meta refused. Raises what would hit the rest too."""
    answers: list[dict[str, Any] | None] = []
    for answer in await reader.batch(reads) if reads else []:
        if isinstance(answer, GraphError):
            if answer.transient or isinstance(answer, TokenDead):
                raise answer
            answers.append(None)
        else:
            answers.append(answer)
    return answers


async def _rows_or_none(reader: GraphReader, read: Read) -> list[dict[str, Any]] | None:
    try:
        return await reader.rows(read)
    except GraphError as error:
        if error.transient or isinstance(error, TokenDead):
            raise
        return None


async def _all_rows(reader: GraphReader, read: Read, first: dict[str, Any]) -> list[dict[str, Any]]:
    page = page_from(first)
    if page.next_cursor is None:
        return page.rows
    return page.rows + await reader.rows(read.after(page.next_cursor))


def _granted(answer: dict[str, Any] | None) -> frozenset[str] | None:
    if answer is None:
        return None
    rows = page_from(answer).rows
    return frozenset(str(row["permission"]) for row in rows if row.get("status") == "granted")


def _text(answer: dict[str, Any] | None, key: str) -> str | None:
    value = None if answer is None else answer.get(key)
    return None if value is None else str(value)
