"""What a step reads of one partner, on its way into staging: assets, people, groups, access."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import SyncJob
from partner_connector.graph import REFUSALS, BatchRead, FirstPage, GraphReader
from partner_connector.worker.context import Workshop
from partner_connector.worker.meta.access import (
    AccessBatch,
    AccessRead,
    access_told_by,
    page_readers,
    read_access,
)
from partner_connector.worker.meta.concurrency import all_of, one_ahead
from partner_connector.worker.meta.shared_assets import AssetToRead, SharedAssets
from partner_connector.worker.meta.unsupported_reads import (
    GROUPS_WITH_CONTENTS,
    OWN_TOKENS,
    remember_refusal,
)
from partner_connector.worker.sync import progress
from partner_connector.worker.sync.read.groups import GroupsRead, stage_group_access
from partner_connector.worker.sync.read.hidden_assets import note_refused_list, stage_hidden
from partner_connector.worker.sync.stage.access import stage_access
from partner_connector.worker.sync.stage.staging import (
    ASSETS_IN_A_BATCH,
    next_assets,
    stage_assets,
    stage_people,
)
from partner_connector.worker.sync.step_runner import CallCounter, held_job
from partner_connector.worker.sync.target import Target

# Batches under way at once for one partner: the network is waited for, not the database.
_BATCHES_AT_ONCE = 2


@dataclass(slots=True)
class PartnerReading:
    """One step of one attempt. Whatever it stages raises `AttemptEnded` once the job is not its."""

    shop: Workshop
    target: Target
    attempt: int
    reader: GraphReader
    calls: CallCounter = field(init=False)
    # One transaction at a time: SQLite would make them queue less patiently.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    # With our own business's eyes, whose trouble is not the partner's token's.
    is_ours: bool = False

    def __post_init__(self) -> None:
        self.calls = CallCounter(self.reader)

    def of(self, reader: GraphReader) -> "PartnerReading":
        """The same, with our own business's eyes."""
        return PartnerReading(self.shop, self.target, self.attempt, reader, self.turn, is_ours=True)

    @asynccontextmanager
    async def staging(self) -> AsyncIterator[tuple[AsyncSession, SyncJob]]:
        """A transaction with the job's row locked, to which the calls so far are added."""
        async with self.turn, held_job(self.shop, self.target, self.attempt) as (session, job):
            yield session, job
            job.graph_calls += self.calls.new()

    async def stage_shares(self, found: AsyncIterator[SharedAssets]) -> None:
        """Shared assets page by page, with the people that came in their rows."""
        async for some in found:
            known = access_told_by(some, self.target.partner_business_id)
            async with self.staging() as (session, job):
                await stage_assets(session, job.id, self.attempt, some.assets)
                await stage_access(session, job, known)
                if some.refusal is not None:
                    accepted = None if self.is_ours else self.target.out_of_sight
                    note_refused_list(job, some.edge, some.refusal, accepted)
                if some.without_owner:
                    detail = f"{some.without_owner} rows of {some.edge} did not say who owns them."
                    progress.warn(job, "edge_incomplete", some.edge, detail)
                if some.is_bare:
                    await remember_refusal(session, self.target.partner_id, some.edge)
                await progress.move_on(session, job, "listing_assets")

    async def stage_kind(self, kind: str, first: FirstPage) -> None:
        """Names, mail addresses and roles. Where Meta refuses them, access is still read."""
        edge, seen = first.read.edge, set[str]()
        total, run, warnings = None, 1, []
        try:
            async for page in one_ahead(self.reader.pages(first)):
                if page.run != run:
                    seen, run = set(), page.run
                seen.update(str(row["id"]) for row in page.rows)
                total = page.total_count if page.total_count is not None else total
                async with self.staging() as (session, job):
                    await stage_people(session, job.id, kind, page.rows)
                    await progress.move_on(session, job, "listing_people")
        except REFUSALS as error:
            detail = f"Meta refused to list {edge}: names, roles and mail may be missing."
            warnings.append(("edge_refused", edge, f"{detail} {error}"))
        if total is not None and len(seen) < total:
            detail = f"Meta counts {total} rows of {edge} and showed {len(seen)}."
            warnings.append(("edge_incomplete", edge, detail))
        if warnings:
            async with self.staging() as (_, job):
                for warning in warnings:
                    progress.warn(job, *warning)

    async def stage_groups(self, found: GroupsRead) -> None:
        """Who reaches shared assets through the partner's asset groups."""
        async with self.staging() as (session, job):
            await stage_group_access(session, job.id, found)
            for warning in found.warnings:
                progress.warn(job, *warning)
            if found.is_bare:
                await remember_refusal(session, self.target.partner_id, GROUPS_WITH_CONTENTS)

    async def read_next_access(
        self, page_tokens: FirstPage | None = None, also: Sequence[BatchRead[None]] = ()
    ) -> bool:
        """Read who is assigned to the next assets; return whether there are more to read.

        Some batches go out at once, and what each brings is staged before trouble with another is
        raised. `page_tokens` are `my_accounts` where a batch has brought their first page. The
        reads in `also` ride along with the first batch.
        """
        number = _BATCHES_AT_ONCE * ASSETS_IN_A_BATCH
        async with self.shop.database.reading() as session:
            assets = await next_assets(session, self.target.job_id, self.attempt, number)
        if not assets and not also:
            return False
        pages = {asset.meta_id for asset in assets if asset.type == "page"}
        graph = self.shop.graph
        readers = await page_readers(graph, self.reader, pages, page_tokens) if pages else {}
        first, *others = [
            assets[start : start + ASSETS_IN_A_BATCH]
            for start in range(0, len(assets), ASSETS_IN_A_BATCH)
        ] or [assets]
        await all_of(
            [
                self._read_batch(first, readers, also),
                *(self._read_batch(some, readers) for some in others),
            ]
        )
        return len(assets) == number

    async def _read_batch(
        self,
        assets: Sequence[AssetToRead],
        readers: Mapping[str, GraphReader],
        also: Sequence[BatchRead[None]] = (),
    ) -> None:
        own = {
            asset.meta_id: readers[asset.meta_id] for asset in assets if asset.meta_id in readers
        }
        of_pages = [CallCounter(reader) for reader in own.values()]
        async for batch in read_access(
            self.reader,
            assets,
            self.target.partner_business_id,
            own,
            own_tokens_in_batch=OWN_TOKENS not in self.target.refused_by_meta,
            also=also,
        ):
            await self._stage_batch(batch, sum(calls.new() for calls in of_pages))

    async def _stage_batch(self, batch: AccessBatch, calls_of_pages: int) -> None:
        async with self.staging() as (session, job):
            accepted = self.target.out_of_sight
            hidden = [
                read.asset for read in batch.reads if read.refusal and read.asset.key in accepted
            ]
            reads = [read for read in batch.reads if read.asset not in hidden]
            await stage_access(session, job, reads)
            await stage_hidden(session, job, hidden, accepted)
            for read in reads:
                _warn_of(job, read)
            if batch.own_tokens_ignored:
                await remember_refusal(session, self.target.partner_id, OWN_TOKENS)
            done, total = await progress.staged_assets_left(session, job)
            await progress.move_on(session, job, "reading_access", done=done, total=total)
            job.graph_calls += calls_of_pages
        if batch.trouble is not None:
            raise batch.trouble


def _warn_of(job: SyncJob, read: AccessRead) -> None:
    asset = read.asset.label
    if read.refusal is not None:
        detail = f"Meta refused to list who is assigned to the {asset}: {read.refusal}"
        progress.warn(job, "asset_refused", "assigned_users", detail)
    elif read.is_short:
        detail = f"Meta showed fewer assigned to the {asset} than it counts, or gave no count."
        progress.warn(job, "edge_incomplete", "assigned_users", detail)
