"""How much of a partner its token sees, and whether that is less than at the last complete check.

A permission that was taken away, or narrowed to some assets, makes Meta's lists shorter without an
error (DOMAIN, failure 2); so do a lower role and an asset that is taken from the system user. Then
people may be missing from the lists who never left, and nobody is removed until somebody accepts
that the token sees less.

A capability is `{scopes, granular, role, assets, hidden}`: the permissions; for each the objects
that it is narrowed to (null: none); the system user's role; by `type:meta id` the shared assets
that it is assigned to, with whether that is full control; and the names of shared assets and of
edges that Meta does not show to it (`sync.out_of_sight`). What was not told is null or left out.
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
from partner_connector.features.tokens.health import NOT_SHOWN, settle_view
from partner_connector.graph import TokenDead, TokenInspection
from partner_connector.worker.meta.shared_assets import asset_name
from partner_connector.worker.sync import progress
from partner_connector.worker.sync.apply.diff import is_of_staged_asset
from partner_connector.worker.sync.read.hidden_assets import hidden_from

_NAMED_AT_MOST = 5
_COVER_UNKNOWN = f"what its permissions cover {NOT_SHOWN}"


def require_valid(inspection: TokenInspection) -> None:
    """Raise `TokenDead` for a token that Meta says is no longer valid."""
    if not inspection.is_valid:
        raise TokenDead(
            inspection.error_message or "Meta no longer accepts the token.",
            code=inspection.error_code,
            subcode=inspection.error_subcode,
        )


def what_shrank(
    proven: Mapping[str, Any], observed: Mapping[str, Any], listed: Collection[str]
) -> list[str]:
    """Each way in which less is seen than was proven, in words. `listed` are the shared assets."""
    return [
        *_scopes_that_shrank(proven, observed),
        *_role_that_shrank(proven.get("role"), observed.get("role")),
        *_assets_that_shrank(proven.get("assets") or {}, observed.get("assets") or {}, listed),
        *_hidden_anew(proven.get("hidden") or (), observed.get("hidden") or ()),
    ]


def _scopes_that_shrank(proven: Mapping[str, Any], observed: Mapping[str, Any]) -> list[str]:
    if observed.get("scopes") is None:
        return []
    scopes = set(proven.get("scopes") or ())
    lost = sorted(scopes.difference(observed["scopes"]))
    before, after = proven.get("granular"), observed.get("granular")
    if before is not None and after is None:
        # Unknown is not as much as before (DOMAIN, failure 2).
        return [f"{scope} is gone" for scope in lost] + [_COVER_UNKNOWN]
    narrowed = [
        scope
        for scope, targets in sorted((after or {}).items())
        if targets is not None
        and scope in scopes.difference(lost)
        and not _covers(targets, (before or {}).get(scope))
    ]
    return [f"{scope} is gone" for scope in lost] + [
        f"{scope} covers fewer assets" for scope in narrowed
    ]


def _covers(targets: Collection[str], before: Collection[str] | None) -> bool:
    """Whether these targets are at least those from before; None was all of them."""
    return before is not None and set(targets).issuperset(before)


def _role_that_shrank(proven: str | None, observed: str | None) -> list[str]:
    if proven is None or observed in {proven, "ADMIN"}:
        return []
    if observed is None:
        return [f"the system user's role, which was {proven}, {NOT_SHOWN}"]
    return [f"the system user is {observed} where it was {proven}"]


def _assets_that_shrank(
    proven: Mapping[str, bool], observed: Mapping[str, bool], listed: Collection[str]
) -> list[str]:
    less = sorted(
        asset
        for asset, full_control in proven.items()
        if asset in listed and (asset not in observed or (full_control and not observed[asset]))
    )
    if not less:
        return []
    told = _named(less)
    return [f"{len(less)} shared assets are assigned to the system user no more or less ({told})"]


def _hidden_anew(proven: Collection[str], observed: Collection[str]) -> list[str]:
    anew = sorted(set(observed).difference(proven))
    return [f"hidden from it, of what is shared: {len(anew)} ({_named(anew)})"] * bool(anew)


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED_AT_MOST]) + (", …" if len(names) > _NAMED_AT_MOST else "")


async def note_scopes(
    session: AsyncSession,
    job: SyncJob,
    scopes: Collection[str] | None,
    granular: Mapping[str, Any] | None,
) -> None:
    """What this check was told of the token; the rest is seen on the way (`compare`)."""
    row = await _row(session, job)
    row.observed = {
        "scopes": None if scopes is None else sorted(scopes),
        "granular": None if granular is None else dict(granular),
    }
    row.observed_at = now()


async def compare(session: AsyncSession, job: SyncJob, token: Token | None) -> None:
    """Complete what was observed, and warn of all that is less than was proven."""
    row = await _row(session, job)
    own = None if token is None else token.system_user_id
    row.observed = {
        **(row.observed or {}),
        "role": await _own_role(session, job, own),
        "assets": await _own_assets(session, job, own),
        "hidden": await hidden_from(session, job),
    }
    row.narrowed = what_shrank(
        row.proven or _proof_of(token), row.observed, await _listed(session, job)
    )
    # `lock_partner` is held, as by everybody who changes a partner's token.
    active = await session.get(Token, token.id) if token is not None else None
    if active is not None and active.state == "active":
        settle_view(active, row.narrowed, now())
    if row.narrowed:
        told = "; ".join(row.narrowed)
        detail = f"The token sees less than it did, so that nobody is removed: {told}."
        edge = "debug_token" if _COVER_UNKNOWN in row.narrowed else None
        progress.warn(job, "token_narrowed", edge, detail)


async def note_proven(session: AsyncSession, job: SyncJob, at: datetime) -> None:
    """A complete check: this is what the next one is measured by."""
    row = await _row(session, job)
    shown = {name: value for name, value in (row.observed or {}).items() if value is not None}
    # What was not shown this time, and was not known before either, stays unknown.
    row.proven, row.proven_at = {**(row.proven or {}), **shown}, at


def _proof_of(token: Token | None) -> dict[str, Any]:
    """Before the first complete check: what the proof of the token showed."""
    if token is None:
        return {}
    if token.proof is not None:
        return token.proof
    return {
        "scopes": token.scopes,
        "granular": token.granular_scopes,
        "role": token.system_user_role,
    }


async def _row(session: AsyncSession, job: SyncJob) -> Capability:
    assert job.partner_id is not None
    row = await lock_capability(session, job.partner_id)
    if row is None:
        row = Capability(partner_id=job.partner_id, workspace_id=job.workspace_id, narrowed=[])
        session.add(row)
        await session.flush()
    return row


async def _own_role(session: AsyncSession, job: SyncJob, own: str | None) -> str | None:
    return await session.scalar(
        select(StagedUser.role).where(
            StagedUser.job_id == job.id, StagedUser.meta_user_id == own, StagedUser.enriched
        )
    )


async def _own_assets(session: AsyncSession, job: SyncJob, own: str | None) -> dict[str, bool]:
    staged = (
        select(StagedAsset.type, StagedAsset.meta_id, StagedGrant.full_control)
        .join(StagedGrant, is_of_staged_asset())
        .where(StagedGrant.job_id == job.id, StagedGrant.meta_user_id == own)
    )
    as_it_was = (
        select(StagedAsset.type, StagedAsset.meta_id, Grant.full_control)
        .join(Grant, and_(Grant.asset_id == StagedAsset.id, Grant.via == "direct"))
        .join(PartnerUser, PartnerUser.id == Grant.partner_user_id)
        .where(StagedAsset.job_id == job.id, StagedAsset.is_unchanged)
        .where(PartnerUser.partner_id == job.partner_id, PartnerUser.meta_user_id == own)
    )
    assets: dict[str, bool] = {}
    for asset_type, meta_id, full_control in await session.execute(union_all(staged, as_it_was)):
        name = asset_name(asset_type, meta_id)
        assets[name] = assets.get(name, False) or full_control
    return assets


async def _listed(session: AsyncSession, job: SyncJob) -> set[str]:
    rows = await session.execute(
        select(StagedAsset.type, StagedAsset.meta_id).where(
            StagedAsset.job_id == job.id, StagedAsset.state == "read"
        )
    )
    return {asset_name(asset_type, meta_id) for asset_type, meta_id in rows}
