"""What Meta does not do for a partner, remembered so that it is not asked for at each check.

Three of our shorter ways are in no document of Meta's: people expanded into the rows of shared
assets, contents and members expanded into those of asset groups, and a read of a batch that is made
with a token of its own. Where Meta refuses one, the plain way is taken, and the short one is tried
again after a week.
"""

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.locks import lock_partner
from partner_connector.db.models import Partner

OWN_TOKENS = "tokens_in_batch"
GROUPS_WITH_CONTENTS = "business_asset_groups"
_TRIED_AGAIN_AFTER = timedelta(days=7)


def still_refused(known: Mapping[str, str]) -> frozenset[str]:
    """The names that are not worth another try yet."""
    since = now() - _TRIED_AGAIN_AFTER
    return frozenset(name for name, at in known.items() if datetime.fromisoformat(at) > since)


async def remember_refusal(session: AsyncSession, partner_id: uuid.UUID | None, name: str) -> None:
    """Note that Meta just refused this; what is older is forgotten on the way."""
    partner = await lock_partner(session, partner_id)
    assert partner is not None
    known = partner.refused_by_meta
    kept = {one: known[one] for one in still_refused(known)}
    # Nothing that anybody is shown has changed, so neither has the time of the last change.
    await session.execute(
        update(Partner)
        .where(Partner.id == partner_id)
        .values(refused_by_meta={**kept, name: now().isoformat()}, updated_at=Partner.updated_at)
    )
    await session.refresh(partner)
