"""The onboarding status, derived in SQL from the partner's active token.

There is no status column that could disagree with the evidence.
"""

from sqlalchemy import ColumnElement, and_, case
from sqlalchemy.orm import aliased

from partner_connector.models import Partner, Token

ActiveToken = aliased(Token, name="active_token")

# Health of a token under which the partner's data can still be read.
_WORKING = ("healthy", "expiring", "unknown")

join_condition = and_(ActiveToken.partner_id == Partner.id, ActiveToken.state == "active")

onboarding_status: ColumnElement[str] = case(
    (ActiveToken.id.is_(None), "pending_onboarding"),
    (ActiveToken.health.in_(_WORKING), "onboarded"),
    else_="needs_attention",
)
