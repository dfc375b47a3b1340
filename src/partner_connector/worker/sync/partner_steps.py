"""The steps of `sync_partner`: assets, people, access, and then everything at once."""

import contextlib
from collections.abc import AsyncIterator, Sequence

from partner_connector.db.locks import lock_partner
from partner_connector.db.models import SyncJob, Token
from partner_connector.features.tokens.health_changes import telling_health_changes
from partner_connector.graph import REFUSALS, FirstPage, GraphError, TokenDead, edges, first_page
from partner_connector.ids import encode
from partner_connector.sealing.private import UnreadableToken
from partner_connector.worker import token_decryption
from partner_connector.worker.context import Workshop
from partner_connector.worker.meta.concurrency import all_of
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
    assets_listed,
    kinds_at_stake,
    read_groups,
    read_memberships,
)
from partner_connector.worker.sync.read.hidden_assets import stage_hidden
from partner_connector.worker.sync.read.partner import PartnerReading
from partner_connector.worker.sync.read.vanished_shares import shares_not_listed, still_shared
from partner_connector.worker.sync.stage.staging import stage_assets
from partner_connector.worker.sync.step_runner import AGAIN, GO_ON, STOP
from partner_connector.worker.sync.target import Target
from partner_connector.worker.token_decryption import TokenMissing, note_token_works, reader_for

# Our own token's trouble is told by the integration; in a partner's check it only hides something.
OWN_TOKEN_TROUBLE = (TokenDead, TokenMissing, UnreadableToken)


async def read_partner(shop: Workshop, target: Target, attempt: int) -> str:
    """Nearly all of a partner: its token's view, its lists, and what they share; then beside the
    people, who may do what, and shares that are gone.

    Page tokens are in clear in this function only, which is why all of that is one step.
    """
    reading = PartnerReading(shop, target, attempt, reader_for(shop, target.partner_token))
    first, *_ = await all_of([_first_pages(reading), _check_token(reading), _read_theirs(reading)])
    *of_shares, people, system_users, groups, page_tokens = first
    shares = shared_assets(
        reading.reader,
        of_shares,
        owned_by=target.host_business_id,
        direction=OURS_TO_PARTNER,
    )
    # Some megabytes, which each of the readers lets go of when it has dealt with its own.
    del first, of_shares
    there_are_more, *_ = await all_of(
        [
            _read_assets(reading, shares, groups, page_tokens),
            reading.stage_kind("person", people),
            reading.stage_kind("system_user", system_users),
        ]
    )
    return AGAIN if there_are_more else GO_ON


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
    """Is the token alive, and what does Meta let it see? `apply` judges whether that is enough."""
    token = reading.target.partner_token
    assert token is not None
    try:
        plaintext = token_decryption.open_token(token, reading.shop.keyring)
        inspection = await reading.shop.graph.debug_token(plaintext)
    except GraphError as error:
        if error.transient:
            raise
        # Meta does not let us look, as without the app's secret or with a wrong one, whose 190 is
        # not about the partner's token: the token's own word has to do.
        await _ask_for_permissions(reading, token)
        return
    require_valid(inspection)
    async with reading.staging() as (session, job):
        job.graph_calls += 1
        job.read_with = token.id
        granular = inspection.granular_as_json()
        await capability.note_scopes(session, job, inspection.scopes, granular)


async def _ask_for_permissions(reading: PartnerReading, token: Token) -> None:
    granted: set[str] | None = None
    with contextlib.suppress(*REFUSALS):
        rows = await reading.reader.rows(edges.my_permissions())
        granted = {str(row.get("permission")) for row in rows if row.get("status") == "granted"}
    async with reading.staging() as (session, job):
        job.read_with = token.id
        await capability.note_scopes(session, job, granted, None)
        if granted is None:
            detail = "Meta did not show what the token may do: what it sees is not proven."
            progress.warn(job, "token_not_inspected", None, detail)


async def _read_theirs(reading: PartnerReading) -> None:
    """What they share with us, as our own business lists it; their people are read later."""
    target = reading.target
    if target.relationship == "agency":
        return
    try:
        host = reader_for(reading.shop, target.host_token)
        found = shared_to_us(
            host,
            host_business_id=target.host_business_id,
            partner_business_id=target.partner_business_id,
        )
        await reading.of(host).stage_shares(found)
    except OWN_TOKEN_TROUBLE:
        detail = "Our own business's token does not work: what they share to us was not read."
        async with reading.staging() as (_, job):
            progress.warn(job, "host_token_unusable", None, detail)


async def _read_assets(
    reading: PartnerReading,
    shares: AsyncIterator[SharedAssets],
    groups: FirstPage,
    page_tokens: FirstPage,
) -> bool:
    """What we share with the partner, and who may do what on it. Answers whether there is more."""
    await reading.stage_shares(shares)
    there_are_more, _ = await all_of(
        [_read_first_access(reading, groups, page_tokens), _ask_owners(reading)]
    )
    return bool(there_are_more)


async def _read_first_access(
    reading: PartnerReading, groups: FirstPage, page_tokens: FirstPage
) -> bool:
    target = reading.target
    async with reading.shop.database.reading() as session:
        shared = await assets_listed(session, target.job_id, reading.attempt)
        at_stake = await kinds_at_stake(session, target.partner_id)
    found = await read_groups(reading.reader, groups, target.partner_business_id, shared, at_stake)
    there_are_more = await reading.read_next_access(page_tokens, found.reads())
    await read_memberships(reading.reader, found)
    await reading.stage_groups(found)
    return there_are_more


async def _ask_owners(reading: PartnerReading) -> None:
    """Ask the owner of each asset that is no longer listed whether it is really not shared."""
    target = reading.target
    for direction, owner_token, shared_to in (
        (OURS_TO_PARTNER, target.host_token, target.partner_business_id),
        (THEIRS_TO_US, target.partner_token, target.host_business_id),
    ):
        async with reading.shop.database.reading() as session:
            vanished = await shares_not_listed(session, target, reading.attempt, direction)
        if not vanished:
            continue
        try:
            owner = reader_for(reading.shop, owner_token)
            hidden, calls = await still_shared(reading.shop.graph, owner, vanished, shared_to)
        except OWN_TOKEN_TROUBLE:
            if owner_token is target.partner_token:
                raise
            async with reading.staging() as (_, job):
                _warn_of_hidden(job, vanished)
            continue
        await _note_hidden(reading, hidden, calls, by_partner=direction == OURS_TO_PARTNER)


async def _note_hidden(
    reading: PartnerReading, hidden: Sequence[SharedAsset], calls: int, *, by_partner: bool
) -> None:
    """What is not listed, though its owner shares it, or cannot say that it does not.

    Only what the partner lists can be hidden from the partner's token, and be accepted as such.
    """
    accepted = reading.target.out_of_sight if by_partner else frozenset[str]()
    async with reading.staging() as (session, job):
        job.graph_calls += calls
        if not by_partner:
            _warn_of_hidden(job, hidden)
            return
        await stage_assets(session, job.id, reading.attempt, hidden)
        await stage_hidden(session, job, hidden, accepted)
        _warn_of_hidden(job, [asset for asset in hidden if asset.key not in accepted])


def _warn_of_hidden(job: SyncJob, hidden: Sequence[SharedAsset]) -> None:
    for asset in hidden:
        detail = (
            f"The {asset.label} is no longer listed, but that it is no longer shared could not be "
            "confirmed."
        )
        progress.warn(job, "view_shrank", None, detail)


async def read_access(shop: Workshop, target: Target, attempt: int) -> str:
    """Who is assigned to the next assets. One step is some Graph batches."""
    reader = reader_for(shop, target.partner_token)
    there_are_more = await PartnerReading(shop, target, attempt, reader).read_next_access()
    return AGAIN if there_are_more else GO_ON


async def apply(shop: Workshop, target: Target, attempt: int) -> str:
    """Staging becomes partner users and the job is finished, or halted, in one transaction."""
    if target.partner_token is None:
        # Disconnected meanwhile.
        raise TokenMissing
    await shop.database.refresh_statistics("staged_assets", "staged_users", "staged_grants")
    async with shop.database.writing(at_length=True) as session:
        job = await progress.running_job(session, target.job_id, attempt)
        if job is None:
            return STOP
        # Before the token is read: whoever changes it holds its owner's row.
        await lock_partner(session, job.partner_id)
        audit = shop.recorder(job.workspace_id, encode("job", job.id))
        async with telling_health_changes(session, audit, target.partner_token.id):
            await note_token_works(session, target.partner_token)
            await apply_users(session, job, target.partner_token)
        return STOP if job.status == "halted" else GO_ON
