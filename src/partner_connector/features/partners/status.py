"""Onboarding status of a partner, derived in SQL from its active token.

No column stores the status, so it cannot disagree with the token.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, case
from sqlalchemy.orm import aliased

from partner_connector.db.models import Partner, Token
from partner_connector.db.models.token import WORKING

ActiveToken = aliased(Token, name="active_token")

join_condition = and_(ActiveToken.partner_id == Partner.id, ActiveToken.state == "active")

onboarding_status: ColumnElement[str] = case(
    (ActiveToken.id.is_(None), "pending_onboarding"),
    (ActiveToken.health.in_(WORKING), "onboarded"),
    else_="needs_attention",
)


@dataclass(frozen=True, slots=True)
class OnboardingState:
    """Onboarding status of a partner, and why its token needs attention."""

    status: str
    reasons: list[Any]
