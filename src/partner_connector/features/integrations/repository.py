"""Integrations of one workspace in the database."""

import uuid

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.keyset import KeysetOrder, PageRequest
from partner_connector.db.locks import (
    lock_integration,
    lock_job,
    lock_partner,
    lock_partner_jobs,
)
from partner_connector.db.models import Integration, Partner, SyncJob
from partner_connector.db.models.sync_job import UNFINISHED
from partner_connector.errors import Conflict, found

_OLDEST_FIRST = KeysetOrder([Integration.__table__.c.id])


class IntegrationExists(Conflict):
    """The workspace already has an integration for this Meta business."""

    code = "integration_exists"
    title = "The business has an integration already"
    description = (
        "Use the existing integration: `GET /v1/integrations` lists it with its "
        "`meta_business_id`. A new token goes to `PUT /v1/integrations/{integration_id}/token`."
    )


class IntegrationRepository:
    """Access to the integrations of one workspace."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def add(self, integration: Integration) -> None:
        """Store a new integration. Raises `IntegrationExists`."""
        self.session.add(integration)
        try:
            await self.session.flush()
        except IntegrityError:
            raise IntegrationExists from None

    async def get(self, integration_id: uuid.UUID) -> Integration:
        """Return one integration. Raises `NotFound`."""
        query = select(Integration).where(
            Integration.workspace_id == self.workspace_id, Integration.id == integration_id
        )
        return found(await self.session.scalar(query))

    async def lock(self, integration_id: uuid.UUID) -> Integration:
        """Lock and return one integration. Raises `NotFound`."""
        is_ours = Integration.workspace_id == self.workspace_id
        return found(await lock_integration(self.session, integration_id, is_ours))

    async def lock_to_remove(self, integration_id: uuid.UUID) -> Integration:
        """Lock and return one integration in order to delete it. Raises `NotFound`.

        Its unfinished jobs are locked before it, its partners after it. All are deleted with it.
        """
        is_of_partner = SyncJob.partner_id.is_not(None)
        unfinished = (
            SyncJob.workspace_id == self.workspace_id,
            SyncJob.integration_id == integration_id,
            SyncJob.status.in_(UNFINISHED),
        )
        await lock_job.all(self.session, *unfinished, ~is_of_partner, ~SyncJob.own_work_done)
        await lock_partner_jobs.all(self.session, *unfinished, is_of_partner)
        is_ours = Integration.workspace_id == self.workspace_id
        # The lock leaves the key free: a transaction that holds one of the partners may insert
        # rows that refer to the integration.
        integration = await lock_integration(self.session, integration_id, is_ours, key_share=True)
        await lock_partner.all(
            self.session,
            Partner.workspace_id == self.workspace_id,
            Partner.integration_id == integration_id,
        )
        return found(integration)

    async def page(self, page: PageRequest) -> tuple[list[Integration], str | None]:
        """Return one page of integrations, oldest first, and the cursor of the next page."""
        query = select(Integration).where(Integration.workspace_id == self.workspace_id)
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, _OLDEST_FIRST)
        return [row[0] for row in rows], cursor

    async def remove(self, integration: Integration) -> None:
        """Delete an integration and everything that belongs to it. Nothing changes in Meta."""
        await self.session.delete(integration)
