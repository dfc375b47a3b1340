"""Capabilities: what a partner's token can see, compared with the last complete sync job.

A permission that is removed or narrowed to some assets makes Meta's lists shorter without an error
(`docs/reference/graph-facts.md#short-lists`). A lower role of the system user, or an asset taken
from it, has the same effect. Users who still have access may then be missing from the lists, so no
user is removed until an operator accepts that the token sees less.

A capability is `{scopes, granular, role, assets, hidden}`: the permissions; by permission, the
objects that it is narrowed to (null: not narrowed); the system user's role; the shared assets that
the system user has, by `type:meta id`, with true for full control; and the names of shared assets
and edges that Meta hides from the token (`sync.read.hidden_assets`). Unknown values are null or
left out.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.locks import lock_capability
from partner_connector.db.models import (
    Capability,
    Grant,
    PartnerUser,
    StagedAsset,
    StagedGrant,
    StagedUser,
    SyncJob,
    Token,
)
from partner_connector.features.tokens.health import NOT_SHOWN, set_health_from_narrowing
from partner_connector.graph import TokenDead, TokenInspection
from partner_connector.worker.meta.shared_assets import asset_name
from partner_connector.worker.sync import progress
from partner_connector.worker.sync.apply.diff import is_of_staged_asset
from partner_connector.worker.sync.read.hidden_assets import hidden_from

_MAX_NAMES = 5
_COVERAGE_UNKNOWN = f"the list of assets that its permissions cover {NOT_SHOWN}"


def require_valid(inspection: TokenInspection) -> None:
    """Raise `TokenDead` for a token that Meta says is no longer valid."""
    if not inspection.is_valid:
        raise TokenDead(
            inspection.error_message or "Meta no longer accepts the token.",
            code=inspection.error_code,
            subcode=inspection.error_subcode,
        )


def narrowing_texts(
    confirmed: Mapping[str, Any], observed: Mapping[str, Any], listed: Collection[str]
) -> list[str]:
    """Return texts that say how the token sees less than before.

    `listed` are the names of the shared assets.
    """
    return [
        *_scope_texts(confirmed, observed),
        *_role_texts(confirmed.get("role"), observed.get("role")),
        *_asset_texts(confirmed.get("assets") or {}, observed.get("assets") or {}, listed),
        *_hidden_texts(confirmed.get("hidden") or (), observed.get("hidden") or ()),
    ]


def _scope_texts(confirmed: Mapping[str, Any], observed: Mapping[str, Any]) -> list[str]:
    if observed.get("scopes") is None:
        return []
    scopes = set(confirmed.get("scopes") or ())
    lost = sorted(scopes.difference(observed["scopes"]))
    removed = [f"the token no longer has the permission {scope}" for scope in lost]
    before, after = confirmed.get("granular"), observed.get("granular")
    if before is not None and after is None:
        # Unknown counts as less than before (`#short-lists`).
        return [*removed, _COVERAGE_UNKNOWN]
    narrowed = [
        scope
        for scope, targets in sorted((after or {}).items())
        if targets is not None
        and scope in scopes.difference(lost)
        and not _covers(targets, (before or {}).get(scope))
    ]
    return removed + [f"the permission {scope} covers fewer assets" for scope in narrowed]


def _covers(targets: Collection[str], before: Collection[str] | None) -> bool:
    """Return True if `targets` includes all earlier objects; None means all objects."""
    return before is not None and set(targets).issuperset(before)


def _role_texts(confirmed: str | None, observed: str | None) -> list[str]:
    if confirmed is None or observed in {confirmed, "ADMIN"}:
        return []
    if observed is None:
        return [f"the system user's role, which was {confirmed}, {NOT_SHOWN}"]
    return [f"the system user's role changed from {confirmed} to {observed}"]


def _asset_texts(
    confirmed: Mapping[str, bool], observed: Mapping[str, bool], listed: Collection[str]
) -> list[str]:
    less = sorted(
        asset
        for asset, full_control in confirmed.items()
        if asset in listed and (asset not in observed or (full_control and not observed[asset]))
    )
    if not less:
        return []
    named = _join_names(less)
    return [
        f"the system user lost access to or full control of {len(less)} shared assets ({named})"
    ]


def _hidden_texts(confirmed: Collection[str], observed: Collection[str]) -> list[str]:
    hidden = sorted(set(observed).difference(confirmed))
    if not hidden:
        return []
    named = _join_names(hidden)
    return [f"Meta hides {len(hidden)} more shared assets or lists from the token ({named})"]


def _join_names(names: Sequence[str]) -> str:
    return ", ".join(names[:_MAX_NAMES]) + (", …" if len(names) > _MAX_NAMES else "")


async def store_scopes(
    session: AsyncSession,
    job: SyncJob,
    scopes: Collection[str] | None,
    granular: Mapping[str, Any] | None,
) -> None:
    """Store the token's permissions; `compare` adds the rest."""
    row = await _capability_row(session, job)
    row.observed = {
        "scopes": None if scopes is None else sorted(scopes),
        "granular": None if granular is None else dict(granular),
    }
    row.observed_at = now()


async def compare(session: AsyncSession, job: SyncJob, token: Token | None) -> None:
    """Complete the observed capability, and warn if it is narrowed."""
    row = await _capability_row(session, job)
    user_id = None if token is None else token.system_user_id
    row.observed = {
        **(row.observed or {}),
        "role": await _role_of(session, job, user_id),
        "assets": await _assets_of(session, job, user_id),
        "hidden": await hidden_from(session, job),
    }
    row.narrowed = narrowing_texts(
        row.confirmed or _validated_capability(token),
        row.observed,
        await _listed_assets(session, job),
    )
    # No other transaction changes the token now: the caller holds `lock_partner`.
    active = await session.get(Token, token.id) if token is not None else None
    if active is not None and active.state == "active":
        set_health_from_narrowing(active, row.narrowed, now())
    if row.narrowed:
        reasons = "; ".join(row.narrowed)
        detail = f"The token sees less than before, so no user is removed: {reasons}."
        edge = "debug_token" if _COVERAGE_UNKNOWN in row.narrowed else None
        progress.warn(job, "token_narrowed", edge, detail)


async def store_confirmed_capability(session: AsyncSession, job: SyncJob, at: datetime) -> None:
    """Store the capability of a complete sync job, with which the next job is compared."""
    row = await _capability_row(session, job)
    shown = {name: value for name, value in (row.observed or {}).items() if value is not None}
    # A value that Meta did not show now keeps its earlier value; without one, it stays unknown.
    row.confirmed, row.confirmed_at = {**(row.confirmed or {}), **shown}, at


def _validated_capability(token: Token | None) -> dict[str, Any]:
    """Return the capability found by token validation; the first sync job is compared with it."""
    if token is None:
        return {}
    if token.access_at_activation is not None:
        return token.access_at_activation
    return {
        "scopes": token.scopes,
        "granular": token.granular_scopes,
        "role": token.system_user_role,
    }


async def _capability_row(session: AsyncSession, job: SyncJob) -> Capability:
    assert job.partner_id is not None
    row = await lock_capability(session, job.partner_id)
    if row is None:
        row = Capability(partner_id=job.partner_id, workspace_id=job.workspace_id, narrowed=[])
        session.add(row)
        await session.flush()
    return row


async def _role_of(session: AsyncSession, job: SyncJob, user_id: str | None) -> str | None:
    return await session.scalar(
        select(StagedUser.role).where(
            StagedUser.job_id == job.id, StagedUser.meta_user_id == user_id, StagedUser.enriched
        )
    )


async def _assets_of(session: AsyncSession, job: SyncJob, user_id: str | None) -> dict[str, bool]:
    staged = (
        select(StagedAsset.type, StagedAsset.meta_id, StagedGrant.full_control)
        .join(StagedGrant, is_of_staged_asset())
        .where(StagedGrant.job_id == job.id, StagedGrant.meta_user_id == user_id)
    )
    unchanged = (
        select(StagedAsset.type, StagedAsset.meta_id, Grant.full_control)
        .join(Grant, and_(Grant.asset_id == StagedAsset.id, Grant.via == "direct"))
        .join(PartnerUser, PartnerUser.id == Grant.partner_user_id)
        .where(StagedAsset.job_id == job.id, StagedAsset.is_unchanged)
        .where(PartnerUser.partner_id == job.partner_id, PartnerUser.meta_user_id == user_id)
    )
    assets: dict[str, bool] = {}
    for asset_type, meta_id, full_control in await session.execute(union_all(staged, unchanged)):
        name = asset_name(asset_type, meta_id)
        assets[name] = assets.get(name, False) or full_control
    return assets


async def _listed_assets(session: AsyncSession, job: SyncJob) -> set[str]:
    rows = await session.execute(
        select(StagedAsset.type, StagedAsset.meta_id).where(
            StagedAsset.job_id == job.id, StagedAsset.state == "read"
        )
    )
    return {asset_name(asset_type, meta_id) for asset_type, meta_id in rows}
