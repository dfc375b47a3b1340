"""Undocumented Graph reads that Meta refused for a partner.

Meta does not document three of our shortcuts: users expanded into the rows of shared assets,
contents and members expanded into the rows of asset groups, and single reads in a batch with
their own token. If Meta refuses a shortcut, the documented reads are used for a week. Then the
shortcut is tried again.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.locks import lock_partner
from partner_connector.db.models import Partner

PAGE_TOKENS_IN_BATCH = "tokens_in_batch"
GROUPS_WITH_CONTENTS = "business_asset_groups"
_RETRY_AFTER = timedelta(days=7)


def recent_refusals(known: Mapping[str, str]) -> frozenset[str]:
    """Return the names of reads that Meta refused within the last week."""
    since = now() - _RETRY_AFTER
    return frozenset(name for name, at in known.items() if datetime.fromisoformat(at) > since)


async def store_refusal(session: AsyncSession, partner_id: uuid.UUID | None, name: str) -> None:
    """Store a refusal by Meta, and drop refusals that are older than a week."""
    partner = await lock_partner(session, partner_id)
    assert partner is not None
    known = partner.refused_by_meta
    kept = {read: known[read] for read in recent_refusals(known)}
    # No public field has changed, so `updated_at` stays.
    await session.execute(
        update(Partner)
        .where(Partner.id == partner_id)
        .values(refused_by_meta={**kept, name: now().isoformat()}, updated_at=Partner.updated_at)
    )
    await session.refresh(partner)
