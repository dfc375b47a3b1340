"""Reads of one partner into staging: assets, people, groups and access."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import SyncJob
from partner_connector.graph import REFUSALS, BatchRead, FirstPage, GraphReader
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.meta.access import (
    AccessBatch,
    AccessRead,
    complete_nested_access,
    page_readers,
    read_access,
)
from partner_connector.worker.meta.concurrency import gather_all, prefetch_pages
from partner_connector.worker.meta.shared_assets import AssetToRead, SharedAssets
from partner_connector.worker.meta.unsupported_reads import (
    GROUPS_WITH_CONTENTS,
    PAGE_TOKENS_IN_BATCH,
    store_refusal,
)
from partner_connector.worker.sync import progress
from partner_connector.worker.sync.read.groups import GroupsRead, stage_group_access
from partner_connector.worker.sync.read.hidden_assets import stage_hidden, warn_of_refused_list
from partner_connector.worker.sync.stage.access import stage_access
from partner_connector.worker.sync.stage.staging import (
    ASSETS_PER_BATCH,
    next_assets,
    stage_assets,
    stage_people,
)
from partner_connector.worker.sync.step_runner import CallCounter, lock_running_job
from partner_connector.worker.sync.target import Target

# Concurrent batches for one partner: the network is slow, not the database.
_CONCURRENT_BATCHES = 2


@dataclass(slots=True)
class PartnerReading:
    """Reads of one step of one attempt. Staging raises `AttemptEnded` when the attempt is over."""

    context: WorkerContext
    target: Target
    attempt: int
    reader: GraphReader
    calls: CallCounter = field(init=False)
    # Allows one transaction at a time: on SQLite, waiting writers could time out.
    staging_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    # True for reads with our own business's token.
    with_own_token: bool = False

    def __post_init__(self) -> None:
        self.calls = CallCounter(self.reader)

    def with_own_reader(self, reader: GraphReader) -> "PartnerReading":
        """Return a copy that reads with our own business's token."""
        return PartnerReading(
            self.context, self.target, self.attempt, reader, self.staging_lock, with_own_token=True
        )

    @asynccontextmanager
    async def staging(self) -> AsyncIterator[tuple[AsyncSession, SyncJob]]:
        """Open a transaction with the job's row locked, and add the new Graph calls to the job."""
        async with (
            self.staging_lock,
            lock_running_job(self.context, self.target, self.attempt) as (session, job),
        ):
            yield session, job
            job.graph_calls += self.calls.new()

    async def stage_shares(self, found: AsyncIterator[SharedAssets]) -> None:
        """Stage shared assets page by page, with the people nested in their rows."""
        async for page in found:
            known = complete_nested_access(page, self.target.partner_business_id)
            async with self.staging() as (session, job):
                await stage_assets(session, job.id, self.attempt, page.assets)
                await stage_access(session, job, known)
                if page.refusal is not None:
                    accepted = None if self.with_own_token else self.target.accepted_hidden
                    warn_of_refused_list(job, page.edge, page.refusal, accepted)
                if page.without_owner:
                    detail = (
                        f"{page.without_owner} rows of {page.edge} do not name their owner, so "
                        "those assets were not read."
                    )
                    progress.warn(job, "edge_incomplete", page.edge, detail)
                if page.nested_refused:
                    await store_refusal(session, self.target.partner_id, page.edge)
                await progress.set_progress(session, job, "listing_assets")

    async def stage_users(self, kind: str, first: FirstPage) -> None:
        """Stage names, e-mail addresses and roles. If Meta refuses them, access is still read."""
        edge, seen = first.read.edge, set[str]()
        total, run, warnings = None, 1, []
        try:
            async for page in prefetch_pages(self.reader.pages(first)):
                if page.run != run:
                    seen, run = set(), page.run
                seen.update(str(row["id"]) for row in page.rows)
                total = page.total_count if page.total_count is not None else total
                async with self.staging() as (session, job):
                    await stage_people(session, job.id, kind, page.rows)
                    await progress.set_progress(session, job, "listing_people")
        except REFUSALS as error:
            detail = f"Meta refused to list {edge}, so names, roles and e-mails may be missing."
            warnings.append(("edge_refused", edge, f"{detail} {error}"))
        if total is not None and len(seen) < total:
            detail = f"Meta counts {total} rows of {edge} and returned {len(seen)}."
            warnings.append(("edge_incomplete", edge, detail))
        if warnings:
            async with self.staging() as (_, job):
                for warning in warnings:
                    progress.warn(job, *warning)

    async def stage_groups(self, found: GroupsRead) -> None:
        """Stage access through the partner's asset groups."""
        async with self.staging() as (session, job):
            await stage_group_access(session, job.id, found)
            for warning in found.warnings:
                progress.warn(job, *warning)
            if found.nested_refused:
                await store_refusal(session, self.target.partner_id, GROUPS_WITH_CONTENTS)

    async def read_next_access(
        self, page_tokens: FirstPage | None = None, extra_reads: Sequence[BatchRead[None]] = ()
    ) -> bool:
        """Read the users of the next assets. Return True if more assets may be unread.

        Batches run concurrently; each is staged before the error of another is raised.
        `page_tokens` is the first page of `my_accounts`, if already read. The first batch also
        sends the `extra_reads`.
        """
        number = _CONCURRENT_BATCHES * ASSETS_PER_BATCH
        async with self.context.database.reading() as session:
            assets = await next_assets(session, self.target.job_id, self.attempt, number)
        if not assets and not extra_reads:
            return False
        pages = {asset.meta_id for asset in assets if asset.type == "page"}
        graph = self.context.graph
        readers = await page_readers(graph, self.reader, pages, page_tokens) if pages else {}
        first, *others = [
            assets[start : start + ASSETS_PER_BATCH]
            for start in range(0, len(assets), ASSETS_PER_BATCH)
        ] or [assets]
        await gather_all(
            [
                self._read_batch(first, readers, extra_reads),
                *(self._read_batch(batch, readers) for batch in others),
            ]
        )
        return len(assets) == number

    async def _read_batch(
        self,
        assets: Sequence[AssetToRead],
        readers: Mapping[str, GraphReader],
        extra_reads: Sequence[BatchRead[None]] = (),
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
            page_tokens_in_batch=PAGE_TOKENS_IN_BATCH not in self.target.refused_by_meta,
            extra_reads=extra_reads,
        ):
            await self._stage_batch(batch, sum(calls.new() for calls in of_pages))

    async def _stage_batch(self, batch: AccessBatch, calls_of_pages: int) -> None:
        async with self.staging() as (session, job):
            accepted = self.target.accepted_hidden
            hidden = [
                read.asset for read in batch.reads if read.refusal and read.asset.key in accepted
            ]
            reads = [read for read in batch.reads if read.asset not in hidden]
            await stage_access(session, job, reads)
            await stage_hidden(session, job, hidden, accepted)
            for read in reads:
                _warn_of_incomplete_read(job, read)
            if batch.page_tokens_ignored:
                await store_refusal(session, self.target.partner_id, PAGE_TOKENS_IN_BATCH)
            done, total = await progress.staged_assets_left(session, job)
            await progress.set_progress(session, job, "reading_access", done=done, total=total)
            job.graph_calls += calls_of_pages
        if batch.error is not None:
            raise batch.error


def _warn_of_incomplete_read(job: SyncJob, read: AccessRead) -> None:
    asset = read.asset.label
    if read.refusal is not None:
        detail = f"Meta refused to list the users of the {asset}: {read.refusal}"
        progress.warn(job, "asset_refused", "assigned_users", detail)
    elif read.is_short:
        detail = f"Meta returned fewer users of the {asset} than it counts, or no count."
        progress.warn(job, "edge_incomplete", "assigned_users", detail)
