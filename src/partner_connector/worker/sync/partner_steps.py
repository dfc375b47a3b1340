"""Steps of `sync_partner`: read assets, people and access, then apply all of them at once."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from partner_connector.db.locks import lock_partner
from partner_connector.db.models import SyncJob, Token
from partner_connector.features.tokens.health_changes import record_health_changes
from partner_connector.graph import REFUSALS, FirstPage, GraphError, TokenDead, edges, first_page
from partner_connector.ids import encode
from partner_connector.sealing.private import UnreadableToken
from partner_connector.worker import token_decryption
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.meta.concurrency import gather_all
from partner_connector.worker.meta.shared_assets import (
    OURS_TO_PARTNER,
    THEIRS_TO_US,
    SharedAsset,
    SharedAssets,
    reads_with_people,
    shared_assets,
    shared_to_us,
)
from partner_connector.worker.meta.unsupported_reads import GROUPS_WITH_CONTENTS
from partner_connector.worker.sync import progress
from partner_connector.worker.sync.apply import capability
from partner_connector.worker.sync.apply.capability import require_valid
from partner_connector.worker.sync.apply.users import apply_users
from partner_connector.worker.sync.read.groups import (
    listed_assets,
    read_groups,
    read_memberships,
    types_with_group_grants,
)
from partner_connector.worker.sync.read.hidden_assets import stage_hidden
from partner_connector.worker.sync.read.partner import PartnerReading
from partner_connector.worker.sync.read.unlisted_shares import still_shared, unlisted_shares
from partner_connector.worker.sync.stage.staging import stage_assets
from partner_connector.worker.sync.step_runner import AGAIN, GO_ON, STOP
from partner_connector.worker.sync.target import Target
from partner_connector.worker.token_decryption import TokenMissing, reader_for, restore_token_health

# The integration reports these errors of our own business's token; a partner's job adds a warning.
OWN_TOKEN_ERRORS = (TokenDead, TokenMissing, UnreadableToken)


async def read_partner(context: WorkerContext, target: Target, attempt: int) -> str:
    """Read the token's permissions, the shared assets, the people, and the first part of access.

    Also reads from its owner each asset that is no longer listed. All of this is one step, because
    Page tokens are plain text and must not leave the memory of this function.
    """
    reading = PartnerReading(context, target, attempt, reader_for(context, target.partner_token))
    first, *_ = await gather_all(
        [_first_pages(reading), _check_token(reading), _read_shares_to_us(reading)]
    )
    *of_shares, people, system_users, groups, page_tokens = first
    shares = shared_assets(
        reading.reader,
        of_shares,
        owned_by=target.own_business_id,
        direction=OURS_TO_PARTNER,
    )
    # Free some megabytes as soon as each first page is handled.
    del first, of_shares
    has_more, *_ = await gather_all(
        [
            _read_assets(reading, shares, groups, page_tokens),
            reading.stage_users("person", people),
            reading.stage_users("system_user", system_users),
        ]
    )
    return AGAIN if has_more else GO_ON


async def _first_pages(reading: PartnerReading) -> list[FirstPage]:
    """Read page one of the partner's shares, people, system users, groups and Pages in a batch."""
    business, refused = reading.target.partner_business_id, reading.target.refused_by_meta
    with_contents = GROUPS_WITH_CONTENTS not in refused
    reads = [
        *reads_with_people(business, refused=refused),
        edges.business_users(business),
        edges.system_users(business),
        edges.business_asset_groups(business, with_contents=with_contents),
        edges.my_accounts(),
    ]
    return await reading.reader.batch([first_page(read) for read in reads])


async def _check_token(reading: PartnerReading) -> None:
    """Check that the token is valid and store its permissions, which `apply` compares.

    Raises `TokenDead` for an invalid token.
    """
    token = reading.target.partner_token
    assert token is not None
    try:
        plaintext = token_decryption.open_token(token, reading.context.keyring)
        inspection = await reading.context.graph.debug_token(plaintext)
    except GraphError as error:
        if error.transient:
            raise
        # Meta refuses `debug_token`, for example with a wrong app secret. That error 190 is not
        # about the partner's token, so read the permissions with the token itself.
        await _read_permissions(reading, token)
        return
    require_valid(inspection)
    async with reading.staging() as (session, job):
        job.graph_calls += 1
        job.read_with = token.id
        granular = inspection.granular_as_json()
        await capability.store_scopes(session, job, inspection.scopes, granular)


async def _read_permissions(reading: PartnerReading, token: Token) -> None:
    granted: set[str] | None = None
    with contextlib.suppress(*REFUSALS):
        rows = await reading.reader.rows(edges.my_permissions())
        granted = {str(row.get("permission")) for row in rows if row.get("status") == "granted"}
    async with reading.staging() as (session, job):
        job.read_with = token.id
        await capability.store_scopes(session, job, granted, None)
        if granted is None:
            detail = (
                "Meta did not return the token's permissions. So it is not confirmed that the "
                "token sees everything, and no user is removed."
            )
            progress.warn(job, "token_not_inspected", None, detail)


async def _read_shares_to_us(reading: PartnerReading) -> None:
    """Read the assets that the partner shares with us; their users are read later."""
    target = reading.target
    if target.relationship == "agency":
        return
    try:
        own_reader = reader_for(reading.context, target.own_token)
        found = shared_to_us(
            own_reader,
            own_business_id=target.own_business_id,
            partner_business_id=target.partner_business_id,
        )
        await reading.with_own_reader(own_reader).stage_shares(found)
    except OWN_TOKEN_ERRORS:
        detail = (
            "The token of our own business is missing or does not work, so the assets that the "
            "partner shares with us were not read. Replace the integration's token."
        )
        async with reading.staging() as (_, job):
            progress.warn(job, "host_token_unusable", None, detail)


async def _read_assets(
    reading: PartnerReading,
    shares: AsyncIterator[SharedAssets],
    groups: FirstPage,
    page_tokens: FirstPage,
) -> bool:
    """Read the assets that we share with the partner, and the first access.

    Return True if more access is unread.
    """
    await reading.stage_shares(shares)
    has_more, _ = await gather_all(
        [_read_first_access(reading, groups, page_tokens), _confirm_ended_shares(reading)]
    )
    return bool(has_more)


async def _read_first_access(
    reading: PartnerReading, groups: FirstPage, page_tokens: FirstPage
) -> bool:
    target = reading.target
    async with reading.context.database.reading() as session:
        shared = await listed_assets(session, target.job_id, reading.attempt)
        group_types = await types_with_group_grants(session, target.partner_id)
    business_id = target.partner_business_id
    found = await read_groups(reading.reader, groups, business_id, shared, group_types)
    has_more = await reading.read_next_access(page_tokens, found.reads())
    await read_memberships(reading.reader, found)
    await reading.stage_groups(found)
    return has_more


async def _confirm_ended_shares(reading: PartnerReading) -> None:
    """Read from its owner if an asset that is no longer listed is still shared."""
    target = reading.target
    for direction, owner_token, shared_to in (
        (OURS_TO_PARTNER, target.own_token, target.partner_business_id),
        (THEIRS_TO_US, target.partner_token, target.own_business_id),
    ):
        async with reading.context.database.reading() as session:
            unlisted = await unlisted_shares(session, target, reading.attempt, direction)
        if not unlisted:
            continue
        try:
            owner = reader_for(reading.context, owner_token)
            hidden, calls = await still_shared(reading.context.graph, owner, unlisted, shared_to)
        except OWN_TOKEN_ERRORS:
            if owner_token is target.partner_token:
                raise
            async with reading.staging() as (_, job):
                _warn_of_unlisted(job, unlisted)
            continue
        await _stage_unlisted(reading, hidden, calls, by_partner=direction == OURS_TO_PARTNER)


async def _stage_unlisted(
    reading: PartnerReading, hidden: Sequence[SharedAsset], calls: int, *, by_partner: bool
) -> None:
    """Stage assets that are not listed but are or may be shared, and warn about them.

    Only assets that the partner's token should list can be accepted as hidden from it.
    """
    accepted = reading.target.accepted_hidden if by_partner else frozenset[str]()
    async with reading.staging() as (session, job):
        job.graph_calls += calls
        if not by_partner:
            _warn_of_unlisted(job, hidden)
            return
        await stage_assets(session, job.id, reading.attempt, hidden)
        await stage_hidden(session, job, hidden, accepted)
        _warn_of_unlisted(job, [asset for asset in hidden if asset.key not in accepted])


def _warn_of_unlisted(job: SyncJob, hidden: Sequence[SharedAsset]) -> None:
    for asset in hidden:
        detail = (
            f"The {asset.label} is no longer listed, but Meta did not confirm that it is no longer "
            "shared."
        )
        progress.warn(job, "view_shrank", None, detail)


async def read_access(context: WorkerContext, target: Target, attempt: int) -> str:
    """Read the users of the next assets, in a few Graph batches."""
    reader = reader_for(context, target.partner_token)
    has_more = await PartnerReading(context, target, attempt, reader).read_next_access()
    return AGAIN if has_more else GO_ON


async def apply(context: WorkerContext, target: Target, attempt: int) -> str:
    """Apply staging to partner users and finish or halt the job, in one transaction."""
    if target.partner_token is None:
        # Disconnected meanwhile.
        raise TokenMissing
    await context.database.refresh_statistics("staged_assets", "staged_users", "staged_grants")
    async with context.database.writing(long_running=True) as session:
        job = await progress.running_job(session, target.job_id, attempt)
        if job is None:
            return STOP
        # Before the token is read: a change of the token locks the partner's row.
        await lock_partner(session, job.partner_id)
        audit = context.recorder(job.workspace_id, encode("job", job.id))
        async with record_health_changes(session, audit, target.partner_token.id):
            await restore_token_health(session, target.partner_token)
            await apply_users(session, job, target.partner_token)
        return STOP if job.status == "halted" else GO_ON
