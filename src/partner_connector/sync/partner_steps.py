"""The steps of `sync_partner`: assets, people, access, and then everything at once."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from partner_connector.graph import (
    REFUSALS,
    GraphError,
    GraphReader,
    Read,
    TokenDead,
    edges,
)
from partner_connector.models import SyncJob, Token
from partner_connector.sealing.private import UnreadableToken
from partner_connector.sync import progress
from partner_connector.sync.access import (
    AccessRead,
    Answer,
    AssetToRead,
    access_told_by,
    page_readers,
)
from partner_connector.sync.access import (
    read_access as read_assigned_users,
)
from partner_connector.sync.apply_users import apply_users
from partner_connector.sync.capability import require_valid, what_shrank
from partner_connector.sync.refusals import OWN_TOKENS, remember_refusal
from partner_connector.sync.shared_assets import (
    OURS_TO_PARTNER,
    THEIRS_TO_US,
    SharedAssets,
    reads_with_people,
    shared_assets,
    shared_to_us,
)
from partner_connector.sync.staging import (
    next_assets,
    stage_access,
    stage_assets,
    stage_people,
)
from partner_connector.sync.steps import (
    AGAIN,
    GO_ON,
    STOP,
    CallCounter,
    TokenMissing,
    note_token_works,
    reader_for,
)
from partner_connector.sync.target import Target
from partner_connector.sync.vanished import shares_not_listed, still_shared
from partner_connector.tokens import custody
from partner_connector.workshop import Workshop

Row = Mapping[str, Any]

# Our own token's trouble is told by the integration; in a partner's check it only hides something.
OWN_TOKEN_TROUBLE = (TokenDead, TokenMissing, UnreadableToken)


async def check_token(shop: Workshop, target: Target, attempt: int) -> str:
    """Does the token still see as much as when it was proven? If not, nobody may be removed."""
    token = target.partner_token
    if token is None:
        raise TokenMissing
    try:
        inspection = await shop.graph.debug_token(custody.open_token(token, shop.keyring))
    except GraphError as error:
        if error.transient:
            raise
        # Meta does not let us look, as without the app's secret or with a wrong one, whose 190 is
        # not about the partner's token: the token's own word has to do.
        return await _compare_permissions(shop, target, attempt, token)
    async with shop.database.writing() as session:
        job = await progress.running_job(session, target.job_id, attempt)
        if job is None:
            return STOP
        job.graph_calls += 1
    require_valid(inspection)
    shrunk = what_shrank(token.scopes, token.granular_scopes, inspection)
    if not shrunk:
        return GO_ON
    detail = f"The token sees less than when it was proven: {', '.join(shrunk)}."
    return await _note(shop, target, attempt, ("token_narrowed", None, detail))


async def _compare_permissions(shop: Workshop, target: Target, attempt: int, token: Token) -> str:
    reader = reader_for(shop, token)
    try:
        rows = await reader.rows(edges.my_permissions())
    except REFUSALS:
        detail = "Meta did not show what the token may do: that it sees everything is not proven."
        return await _note(shop, target, attempt, ("token_not_inspected", None, detail))
    granted = {str(row.get("permission")) for row in rows if row.get("status") == "granted"}
    lost = sorted(set(token.scopes or ()) - granted)
    if not lost:
        return GO_ON
    detail = f"The token sees less than when it was proven: {', '.join(lost)} gone."
    return await _note(shop, target, attempt, ("token_narrowed", None, detail))


async def read_theirs(shop: Workshop, target: Target, attempt: int) -> str:
    """What they share with us, as our own business lists it; their people are read later."""
    if target.relationship == "agency":
        return GO_ON
    try:
        host = reader_for(shop, target.host_token)
        found = shared_to_us(
            host,
            host_business_id=target.host_business_id,
            partner_business_id=target.partner_business_id,
        )
        return await _stage_shares(shop, target, attempt, found, CallCounter(host))
    except OWN_TOKEN_TROUBLE:
        detail = "Our own business's token does not work: what they share to us was not read."
        return await _note(shop, target, attempt, ("host_token_unusable", None, detail))


async def read_partner(shop: Workshop, target: Target, attempt: int) -> str:
    """Nearly all of a partner in one batch, and the people of its Pages in a second one.

    Page tokens are in clear in this function only, which is why both batches are one step.
    """
    reader = reader_for(shop, target.partner_token)
    business = target.partner_business_id
    assets = reads_with_people(business, refused=target.refused_by_meta)
    people = {"person": edges.business_users(business), "system_user": edges.system_users(business)}
    first = await reader.batch([*assets.values(), *people.values(), edges.my_accounts()])
    calls = CallCounter(reader)
    found = shared_assets(
        reader,
        assets,
        first[: len(assets)],
        owned_by=target.host_business_id,
        direction=OURS_TO_PARTNER,
    )
    if await _stage_shares(shop, target, attempt, found, calls) == STOP:
        return STOP
    for (kind, read), answer in zip(people.items(), first[len(assets) : -1], strict=True):
        if await _stage_kind(shop, target, attempt, reader, kind, read, answer, calls) == STOP:
            return STOP
    done = await _read_next_access(shop, target, attempt, reader, calls, first[-1])
    return STOP if done == STOP else GO_ON


async def ask_owners(shop: Workshop, target: Target, attempt: int) -> str:
    """Ask the owner of each asset that is no longer listed whether it is really not shared."""
    for direction, owner_token, shared_to in (
        (OURS_TO_PARTNER, target.host_token, target.partner_business_id),
        (THEIRS_TO_US, target.partner_token, target.host_business_id),
    ):
        async with shop.database.reading() as session:
            vanished = await shares_not_listed(session, target, attempt, direction)
        if not vanished:
            continue
        try:
            owner = reader_for(shop, owner_token)
            hidden, calls = await still_shared(shop.graph, owner, vanished, shared_to)
        except OWN_TOKEN_TROUBLE:
            if owner_token is target.partner_token:
                raise
            hidden, calls = vanished, 0
        if await _note_hidden(shop, target, attempt, hidden, calls) == STOP:
            return STOP
    return GO_ON


async def _note_hidden(
    shop: Workshop, target: Target, attempt: int, hidden: Sequence[AssetToRead], calls: int
) -> str:
    async with shop.database.writing() as session:
        job = await progress.running_job(session, target.job_id, attempt)
        if job is None:
            return STOP
        job.graph_calls += calls
        for asset in hidden:
            detail = (
                f"The {asset.type} {asset.name} ({asset.meta_id}) is no longer listed, but that "
                "it is no longer shared could not be confirmed."
            )
            progress.warn(job, "view_shrank", None, detail)
    return GO_ON


async def _stage_shares(
    shop: Workshop,
    target: Target,
    attempt: int,
    found: AsyncIterator[SharedAssets],
    calls: CallCounter,
) -> str:
    async for some in found:
        known = [read for _, read in access_told_by(some, target.partner_business_id)]
        async with shop.database.writing() as session:
            job = await progress.running_job(session, target.job_id, attempt)
            if job is None:
                return STOP
            await stage_assets(session, job.id, attempt, some.assets)
            await stage_access(session, job.id, known)
            if some.refusal is not None:
                detail = f"Meta refused to list {some.edge}: {some.refusal}"
                progress.warn(job, "edge_refused", some.edge, detail)
            if some.without_owner:
                detail = f"{some.without_owner} rows of {some.edge} did not say who owns them."
                progress.warn(job, "edge_incomplete", some.edge, detail)
            if some.is_bare:
                await remember_refusal(session, target.partner_id, some.edge)
            progress.move_on(job, "listing_assets")
            job.graph_calls += calls.new()
    return GO_ON


async def _stage_kind(
    shop: Workshop,
    target: Target,
    attempt: int,
    reader: GraphReader,
    kind: str,
    read: Read,
    first: Answer,
    calls: CallCounter,
) -> str:
    """Names, mail addresses and roles. Where Meta refuses them, access is still read."""
    seen: set[str] = set()
    total, run = None, 1
    warnings = []
    try:
        async for page in reader.pages(read, first):
            if page.run != run:
                seen, run = set(), page.run
            seen.update(str(row["id"]) for row in page.rows)
            total = page.total_count if page.total_count is not None else total
            if await _stage_people(shop, target, attempt, kind, page.rows, calls) == STOP:
                return STOP
    except REFUSALS as error:
        detail = f"Meta refused to list {read.edge}: names, roles and mail may be missing."
        warnings.append(("edge_refused", read.edge, f"{detail} {error}"))
    if total is not None and len(seen) < total:
        detail = f"Meta counts {total} rows of {read.edge} and showed {len(seen)}."
        warnings.append(("edge_incomplete", read.edge, detail))
    for warning in warnings:
        if await _note(shop, target, attempt, warning) == STOP:
            return STOP
    return GO_ON


async def read_access(shop: Workshop, target: Target, attempt: int) -> str:
    """Who is assigned to the next assets. One step is one Graph batch."""
    reader = reader_for(shop, target.partner_token)
    return await _read_next_access(shop, target, attempt, reader, CallCounter(reader))


async def _read_next_access(
    shop: Workshop,
    target: Target,
    attempt: int,
    reader: GraphReader,
    calls: CallCounter,
    page_tokens: Answer | None = None,
) -> str:
    """`page_tokens` is the answer to `my_accounts` where a batch has brought it."""
    async with shop.database.reading() as session:
        assets = await next_assets(session, target.job_id, attempt)
    if not assets:
        return GO_ON
    pages = {asset.meta_id for asset in assets if asset.type == "page"}
    readers = await page_readers(shop.graph, reader, pages, page_tokens) if pages else {}
    batch = await read_assigned_users(
        reader,
        assets,
        target.partner_business_id,
        readers,
        own_tokens_in_batch=OWN_TOKENS not in target.refused_by_meta,
    )
    async with shop.database.writing() as session:
        job = await progress.running_job(session, target.job_id, attempt)
        if job is None:
            return STOP
        await stage_access(session, job.id, batch.reads)
        for read in batch.reads:
            _warn_of(job, read)
        if batch.own_tokens_ignored:
            await remember_refusal(session, target.partner_id, OWN_TOKENS)
        done, total = await progress.staged_assets_left(session, job)
        progress.move_on(job, "reading_access", done=done, total=total)
        job.graph_calls += calls.new() + sum(one.counted_calls for one in readers.values())
    if batch.trouble is not None:
        raise batch.trouble
    return AGAIN


def _warn_of(job: SyncJob, read: AccessRead) -> None:
    asset = f"{read.asset.type} {read.asset.name} ({read.asset.meta_id})"
    if read.refusal is not None:
        detail = f"Meta refused to list who is assigned to the {asset}: {read.refusal}"
        progress.warn(job, "asset_refused", "assigned_users", detail)
    elif read.is_short:
        detail = f"Meta showed fewer assigned to the {asset} than it counts, or gave no count."
        progress.warn(job, "edge_incomplete", "assigned_users", detail)


async def apply(shop: Workshop, target: Target, attempt: int) -> str:
    """Staging becomes partner users, and the job is finished, in one transaction."""
    await shop.database.refresh_statistics("staged_assets", "staged_users", "staged_grants")
    async with shop.database.writing() as session:
        job = await progress.running_job(session, target.job_id, attempt)
        if job is None:
            return STOP
        progress.move_on(job, "applying")
        await apply_users(session, job)
        await note_token_works(session, target.partner_token)
        await progress.finish(session, job)
    return GO_ON


async def _stage_people(
    shop: Workshop,
    target: Target,
    attempt: int,
    kind: str,
    rows: Sequence[Row],
    calls: CallCounter,
) -> str:
    async with shop.database.writing() as session:
        job = await progress.running_job(session, target.job_id, attempt)
        if job is None:
            return STOP
        await stage_people(session, job.id, kind, rows)
        progress.move_on(job, "listing_people")
        job.graph_calls += calls.new()
    return GO_ON


async def _note(
    shop: Workshop, target: Target, attempt: int, warning: tuple[str, str | None, str]
) -> str:
    async with shop.database.writing() as session:
        job = await progress.running_job(session, target.job_id, attempt)
        if job is None:
            return STOP
        progress.warn(job, *warning)
    return GO_ON
