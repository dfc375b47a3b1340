"""Evidence for a token validation: facts that Meta shows about a token.

A fact stays unknown if Meta refuses the read. A transient failure is raised and never becomes
evidence, so that a short outage cannot change a verdict. The calls are planned in
`docs/reference/graph-facts.md#plan-validation`; anchors below refer to that page.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from partner_connector.graph import (
    REQUIRED_SCOPES,
    Answer,
    BatchRead,
    FirstPage,
    GraphClient,
    GraphError,
    GraphReader,
    NotFoundOrForbidden,
    Read,
    TokenDead,
    TokenInspection,
    edges,
    first_page,
    nested_page,
    page_from,
)
from partner_connector.worker.meta.access import complete_nested_access
from partner_connector.worker.meta.shared_assets import (
    OURS_TO_PARTNER,
    SharedAsset,
    SharedAssets,
    reads_with_people,
    shared_assets,
    shared_to_us,
)
from partner_connector.worker.validation.own_shares import shared_by_us


@dataclass(frozen=True, slots=True)
class Subject:
    """Owner of the token that is validated.

    `partner_business_id` is None for our own business's token.
    """

    own_business_id: str
    partner_business_id: str | None
    partner_is_listed: bool
    app_id: str
    relationship: str = ""
    # Combined reads that Meta recently refused for this partner (`worker.meta.unsupported_reads`).
    refused_by_meta: frozenset[str] = frozenset()

    @property
    def business_id(self) -> str:
        """Meta id of the business that the token must belong to."""
        return self.partner_business_id or self.own_business_id


@dataclass(slots=True)
class Evidence:
    """Facts that Meta showed. None means that Meta did not show the fact."""

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
    # Assets that our own business shares with the partner; read only for a narrowed token.
    shared_by_us: list[SharedAsset] | None = None
    # Users assigned to a shared asset, by (type, meta id), where the asset's row lists them all.
    people: dict[tuple[str, str], Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    # The token's own tasks on each shared asset, by (type, meta id); None where not shown.
    own_tasks: dict[tuple[str, str], frozenset[str] | None] = field(default_factory=dict)

    @property
    def is_narrowed(self) -> bool:
        """True if a required permission covers only some objects."""
        granular = self.inspection.granular_scopes if self.inspection else {}
        return any(granular.get(scope) is not None for scope in REQUIRED_SCOPES)

    @property
    def token_app_id(self) -> str | None:
        """App id of the token: from Meta's inspection, else from the token's own reads."""
        return (self.inspection.app_id if self.inspection else None) or self.app_id

    @property
    def granted_scopes(self) -> frozenset[str] | None:
        """Permissions of the token: from Meta's inspection, else from the token's own reads."""
        return self.inspection.scopes if self.inspection else self.scopes

    @property
    def system_user_id(self) -> str | None:
        """Meta id of the token's user."""
        return (self.inspection.user_id if self.inspection else None) or self.me_id

    @property
    def system_user(self) -> Mapping[str, Any] | None:
        """Row of the token's user in the business's list of system users."""
        for row in self.system_users or ():
            if row.get("id") == self.system_user_id:
                return row
        return None


async def gather(
    graph: GraphClient,
    token: str,
    subject: Subject,
    own_reader: GraphReader | None,
    *,
    account: str,
) -> Evidence:
    """Read all facts that the checks need. `account` names the token in the rate-limit budgets.

    Raises `GraphError` only if waiting may help.
    """
    evidence = Evidence(inspection=await _inspect(graph, token))
    if evidence.inspection is not None and not evidence.inspection.is_valid:
        return evidence
    # Rate limits of another app must not count against our app.
    reader = graph.reader(token, account=account, app_id=evidence.token_app_id or "")
    try:
        await _read_view(reader, own_reader, subject, evidence)
        if evidence.is_narrowed and subject.partner_business_id and own_reader is not None:
            evidence.shared_by_us = await shared_by_us(
                own_reader,
                own_business_id=subject.own_business_id,
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
        # Without the app's secret Meta may refuse to let a token inspect itself (#debug-token).
        return None


async def _read_view(
    reader: GraphReader, own_reader: GraphReader | None, subject: Subject, evidence: Evidence
) -> None:
    """Read what the token can see in one batch, then read the facts that are still missing."""
    business, partner = subject.business_id, subject.partner_business_id
    reads = {
        "me": edges.me(),
        "system_users": edges.system_users(business),
        "apps": edges.partner_apps(business),
        # One row is enough: only the permission to list users matters.
        "people": edges.business_users(business, limit=1),
    }
    inspection = evidence.inspection
    if inspection is None or not (inspection.app_id and inspection.user_id):
        reads |= {
            "app": edges.token_app(),
            "permissions": edges.my_permissions(),
            "businesses": edges.my_businesses(),
        }
    if partner is not None:
        reads |= {
            "ad_account": edges.assigned_ad_accounts("me"),
            "page": edges.assigned_pages("me"),
        }
    shares = reads_with_people(partner, refused=subject.refused_by_meta) if partner else []
    answers = await reader.batch([first_page(read) for read in [*reads.values(), *shares]])
    pages = dict(zip(reads, answers, strict=False))
    await _store_own_view(reader, subject, evidence, pages)
    if partner is None or evidence.me_id is None:
        return
    found = shared_assets(
        reader,
        answers[len(reads) :],
        owned_by=subject.own_business_id,
        direction=OURS_TO_PARTNER,
    )
    await _store_shares(evidence, found, business)
    await _read_shares_of_partner(own_reader, subject, evidence)
    for asset_type in ("ad_account", "page"):
        rows = await _rows_or_none(reader, pages[asset_type])
        _store_own_tasks(evidence, asset_type, rows)
    await _read_missing_tasks(reader, business, evidence)


async def _store_own_view(
    reader: GraphReader, subject: Subject, evidence: Evidence, pages: Mapping[str, FirstPage]
) -> None:
    answers = {name: one.answer for name, one in pages.items()}
    evidence.me_id = _text(_shown(answers["me"]), "id")
    evidence.app_id = _text(_shown(answers.get("app")), "id")
    evidence.scopes = _granted(_shown(answers.get("permissions")))
    evidence.can_list_business_users = _shown(answers["people"]) is not None
    evidence.system_users = await _rows_or_none(reader, pages["system_users"])
    apps, businesses = _shown(answers["apps"]), pages.get("businesses")
    if businesses is not None or evidence.system_users is None:
        rows = await _rows_or_none(reader, businesses or edges.my_businesses())
        evidence.business_ids = None if rows is None else frozenset(str(r.get("id")) for r in rows)
    if apps is None:
        evidence.business_is_visible = await _is_visible(reader, subject.business_id)
        return
    evidence.business_is_visible = True
    owned, requested = nested_page(apps, "owned_apps"), nested_page(apps, "client_apps")
    evidence.app_ids_of_business = frozenset(
        str(row.get("id")) for row in [*owned.rows, *requested.rows]
    )


async def _is_visible(reader: GraphReader, business_id: str) -> bool | None:
    """Return False if the business does not exist for this token, None if Meta refuses the read."""
    try:
        await reader.get(edges.business(business_id))
    except NotFoundOrForbidden:
        return False
    except GraphError as error:
        _raise_if_fatal(error)
        return None
    return True


async def _store_shares(
    evidence: Evidence, found: AsyncIterator[SharedAssets], business_id: str
) -> None:
    async for part in found:
        evidence.shared.extend(part.assets)
        for read in complete_nested_access(part, business_id):
            evidence.people[read.asset.type, read.asset.meta_id] = read.rows
        evidence.shares_are_complete &= part.refusal is None and not part.without_owner


async def _read_shares_of_partner(
    own_reader: GraphReader | None, subject: Subject, evidence: Evidence
) -> None:
    """Read the assets that the partner shares with us. Only our own business can list them."""
    if subject.relationship == "agency":
        return
    if own_reader is None:
        evidence.shares_are_complete = False
        return
    found = shared_to_us(
        own_reader,
        own_business_id=subject.own_business_id,
        partner_business_id=subject.business_id,
    )
    try:
        await _store_shares(evidence, found, subject.business_id)
    except TokenDead:
        # The partner's token is not at fault if our own business's token is dead.
        evidence.shares_are_complete = False


def _store_own_tasks(
    evidence: Evidence, asset_type: str, rows: Sequence[Mapping[str, Any]] | None
) -> None:
    """Store the token's tasks from `assigned_*`. An asset missing from a shown list has no task."""
    own = evidence.own_tasks
    for asset in evidence.shared:
        if asset.type == asset_type:
            own[asset.type, asset.meta_id] = None if rows is None else frozenset()
    for row in rows or ():
        meta_id = str(row.get("account_id") or row.get("id")).removeprefix("act_")
        own[asset_type, meta_id] = frozenset(str(task) for task in row.get("tasks", ()))


async def _read_missing_tasks(reader: GraphReader, business_id: str, evidence: Evidence) -> None:
    """Read the token's tasks on catalogs and pixels from the lists of their assigned users.

    `assigned_*` shows no tasks for these types (#business-users, #open-catalog-tasks). Some lists
    came with the assets' rows; the others are read here.
    """
    for key, people in evidence.people.items():
        if evidence.own_tasks.get(key) is None:
            evidence.own_tasks[key] = _tasks_among(evidence.system_user_id, people) or frozenset()
    unread = [
        asset
        for asset in evidence.shared
        if asset.type in {"product_catalog", "pixel"}
        and evidence.own_tasks.get((asset.type, asset.meta_id)) is None
    ]
    answers = await reader.batch(
        [BatchRead(edges.assigned_users(asset.path, business_id), _shown) for asset in unread]
    )
    for asset, answer in zip(unread, answers, strict=True):
        tasks = _tasks_of(evidence.system_user_id, answer)
        evidence.own_tasks[asset.type, asset.meta_id] = tasks
    await _try_assigned_users(reader, business_id, evidence, answers)


async def _try_assigned_users(
    reader: GraphReader,
    business_id: str,
    evidence: Evidence,
    answers: Sequence[dict[str, Any] | None],
) -> None:
    if answers or evidence.people:
        was_shown = any(answer is not None for answer in answers)
        evidence.can_list_assigned_users = was_shown or bool(evidence.people)
        return
    accounts = [asset for asset in evidence.shared if asset.type == "ad_account"]
    if accounts:
        read = edges.assigned_users(accounts[0].path, business_id, limit=1)
        evidence.can_list_assigned_users = await reader.batch([BatchRead(read, _shown)]) != [None]


def _tasks_of(user_id: str | None, answer: dict[str, Any] | None) -> frozenset[str] | None:
    if answer is None:
        return None
    page = page_from(answer)
    tasks = _tasks_among(user_id, page.rows)
    if tasks is None and page.next_cursor is None and page.total_count == len(page.rows):
        return frozenset()
    # The user may still be on a later page, or the list has no count: the tasks stay unknown.
    return tasks


def _tasks_among(user_id: str | None, rows: Sequence[Mapping[str, Any]]) -> frozenset[str] | None:
    """Return the tasks in the user's own row; None if there is no such row."""
    for row in rows:
        if row.get("id") == user_id:
            return frozenset(str(task) for task in row.get("tasks", ()))
    return None


async def _rows_or_none(reader: GraphReader, edge: Read | FirstPage) -> list[dict[str, Any]] | None:
    try:
        return await reader.rows(edge)
    except GraphError as error:
        _raise_if_fatal(error)
        return None


def _shown(answer: Answer | None) -> dict[str, Any] | None:
    if isinstance(answer, GraphError):
        _raise_if_fatal(answer)
        return None
    return answer


def _raise_if_fatal(error: GraphError) -> None:
    if error.transient or isinstance(error, TokenDead):
        raise error


def _granted(answer: dict[str, Any] | None) -> frozenset[str] | None:
    if answer is None:
        return None
    rows = page_from(answer).rows
    return frozenset(str(row["permission"]) for row in rows if row.get("status") == "granted")


def _text(answer: dict[str, Any] | None, key: str) -> str | None:
    value = None if answer is None else answer.get(key)
    return None if value is None else str(value)
