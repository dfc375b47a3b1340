"""What Meta shows about a token (CALL_PLANS b): every read that was refused stays unknown.

Transient failures are raised and never become evidence: a verdict is not flipped by a bad minute.
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
from partner_connector.worker.meta.access import access_told_by
from partner_connector.worker.meta.shared_assets import (
    OURS_TO_PARTNER,
    SharedAsset,
    SharedAssets,
    reads_with_people,
    shared_assets,
    shared_to_us,
)
from partner_connector.worker.validation.host_view import shared_by_us


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose token is to be proven. `partner_business_id` is None for our own business's token."""

    host_business_id: str
    partner_business_id: str | None
    partner_is_listed: bool
    app_id: str
    relationship: str = ""
    # Shorter ways of asking that Meta refused for this partner lately (`sync.refusals`).
    refused_by_meta: frozenset[str] = frozenset()

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
    # Who is assigned to a shared asset, by (type, meta id), where its own row proves it.
    people: dict[tuple[str, str], Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    # The token's own tasks on each shared asset, by (type, meta id); None where not shown.
    own_tasks: dict[tuple[str, str], frozenset[str] | None] = field(default_factory=dict)

    @property
    def is_narrowed(self) -> bool:
        """Whether a permission that the checks rest on covers some objects only."""
        granular = self.inspection.granular_scopes if self.inspection else {}
        return any(granular.get(scope) is not None for scope in REQUIRED_SCOPES)

    @property
    def token_app_id(self) -> str | None:
        """The token's app, from Meta's inspection or else from the token's own view."""
        return (self.inspection.app_id if self.inspection else None) or self.app_id

    @property
    def granted_scopes(self) -> frozenset[str] | None:
        """The token's permissions, from Meta's inspection or else from the token's own view."""
        return self.inspection.scopes if self.inspection else self.scopes

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
    *,
    account: str,
) -> Evidence:
    """Everything that the checks look at; `account` names the token for the budgets.

    Raises `GraphError` only where waiting may help.
    """
    evidence = Evidence(inspection=await _inspect(graph, token))
    if evidence.inspection is not None and not evidence.inspection.is_valid:
        return evidence
    # Limits of another app are not ours.
    reader = graph.reader(token, account=account, app_id=evidence.token_app_id or "")
    try:
        await _read_view(reader, host_reader, subject, evidence)
        if evidence.is_narrowed and subject.partner_business_id and host_reader is not None:
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


async def _read_view(
    reader: GraphReader, host_reader: GraphReader | None, subject: Subject, evidence: Evidence
) -> None:
    """Everything that the token shows, in one batch (plan b), and what that leaves open."""
    business, partner = subject.business_id, subject.partner_business_id
    about = {
        "me": edges.me(),
        "system_users": edges.system_users(business),
        "apps": edges.partner_apps(business),
        # Whether it may be listed is all that is asked.
        "people": edges.business_users(business, limit=1),
    }
    inspection = evidence.inspection
    if inspection is None or not (inspection.app_id and inspection.user_id):
        about |= {
            "app": edges.token_app(),
            "permissions": edges.my_permissions(),
            "businesses": edges.my_businesses(),
        }
    if partner is not None:
        about |= {
            "ad_account": edges.assigned_ad_accounts("me"),
            "page": edges.assigned_pages("me"),
        }
    shares = reads_with_people(partner, refused=subject.refused_by_meta) if partner else []
    answers = await reader.batch([first_page(read) for read in [*about.values(), *shares]])
    told = dict(zip(about, answers, strict=False))
    await _note_own_view(reader, subject, evidence, told)
    if partner is None or evidence.me_id is None:
        return
    found = shared_assets(
        reader,
        answers[len(about) :],
        owned_by=subject.host_business_id,
        direction=OURS_TO_PARTNER,
    )
    await _note_shares(evidence, found, business)
    await _read_theirs(host_reader, subject, evidence)
    for asset_type in ("ad_account", "page"):
        rows = await _rows_or_none(reader, told[asset_type])
        _note_own_tasks(evidence, asset_type, rows)
    await _read_tasks_that_are_missing(reader, business, evidence)


async def _note_own_view(
    reader: GraphReader, subject: Subject, evidence: Evidence, told: Mapping[str, FirstPage]
) -> None:
    answers = {name: one.answer for name, one in told.items()}
    evidence.me_id = _text(_shown(answers["me"]), "id")
    evidence.app_id = _text(_shown(answers.get("app")), "id")
    evidence.scopes = _granted(_shown(answers.get("permissions")))
    evidence.can_list_business_users = _shown(answers["people"]) is not None
    evidence.system_users = await _rows_or_none(reader, told["system_users"])
    apps, businesses = _shown(answers["apps"]), told.get("businesses")
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
    """False where there is no such business for this token; None where Meta only refuses."""
    try:
        await reader.get(edges.business(business_id))
    except NotFoundOrForbidden:
        return False
    except GraphError as error:
        _raise_what_concerns_all(error)
        return None
    return True


async def _note_shares(
    evidence: Evidence, found: AsyncIterator[SharedAssets], business_id: str
) -> None:
    async for some in found:
        evidence.shared.extend(some.assets)
        for read in access_told_by(some, business_id):
            evidence.people[read.asset.type, read.asset.meta_id] = read.rows
        evidence.shares_are_complete &= some.refusal is None and not some.without_owner


async def _read_theirs(
    host_reader: GraphReader | None, subject: Subject, evidence: Evidence
) -> None:
    """What the partner shares with us is listed by our own business only."""
    if subject.relationship == "agency":
        return
    if host_reader is None:
        evidence.shares_are_complete = False
        return
    found = shared_to_us(
        host_reader,
        host_business_id=subject.host_business_id,
        partner_business_id=subject.business_id,
    )
    try:
        await _note_shares(evidence, found, subject.business_id)
    except TokenDead:
        # Our own token's trouble is not the partner's.
        evidence.shares_are_complete = False


def _note_own_tasks(
    evidence: Evidence, asset_type: str, rows: Sequence[Mapping[str, Any]] | None
) -> None:
    """From `assigned_*` of the token; an asset that is not in a list that was shown has no task."""
    own = evidence.own_tasks
    for asset in evidence.shared:
        if asset.type == asset_type:
            own[asset.type, asset.meta_id] = None if rows is None else frozenset()
    for row in rows or ():
        meta_id = str(row.get("account_id") or row.get("id")).removeprefix("act_")
        own[asset_type, meta_id] = frozenset(str(task) for task in row.get("tasks", ()))


async def _read_tasks_that_are_missing(
    reader: GraphReader, business_id: str, evidence: Evidence
) -> None:
    """Catalogs and pixels tell no tasks in `assigned_*` (3.4, 12.6): the lists of who is assigned
    to them do, which came with their rows or are asked for here."""
    for key, people in evidence.people.items():
        if evidence.own_tasks.get(key) is None:
            evidence.own_tasks[key] = _tasks_among(evidence.system_user_id, people) or frozenset()
    others = [
        asset
        for asset in evidence.shared
        if asset.type in {"product_catalog", "pixel"}
        and evidence.own_tasks.get((asset.type, asset.meta_id)) is None
    ]
    answers = await reader.batch(
        [BatchRead(edges.assigned_users(asset.path, business_id), _shown) for asset in others]
    )
    for asset, answer in zip(others, answers, strict=True):
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
        asked = any(answer is not None for answer in answers)
        evidence.can_list_assigned_users = asked or bool(evidence.people)
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
    # Not on the first page of a long list, or of one without a count, proves nothing.
    return tasks


def _tasks_among(user_id: str | None, rows: Sequence[Mapping[str, Any]]) -> frozenset[str] | None:
    """The user's tasks by its own row; None where it has none."""
    for row in rows:
        if row.get("id") == user_id:
            return frozenset(str(task) for task in row.get("tasks", ()))
    return None


async def _rows_or_none(reader: GraphReader, edge: Read | FirstPage) -> list[dict[str, Any]] | None:
    try:
        return await reader.rows(edge)
    except GraphError as error:
        _raise_what_concerns_all(error)
        return None


def _shown(answer: Answer | None) -> dict[str, Any] | None:
    if isinstance(answer, GraphError):
        _raise_what_concerns_all(answer)
        return None
    return answer


def _raise_what_concerns_all(error: GraphError) -> None:
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
