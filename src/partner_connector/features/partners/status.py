"""The onboarding status, derived in SQL from the partner's active token.

There is no status column that could disagree with the evidence.
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
class Standing:
    """Where a partner's onboarding is, and what its token needs attention for."""

    status: str
    reasons: list[Any]


def standing(status: str, reasons: list[Any] | None) -> Standing:
    """From the two columns, of which the second is null without a token."""
    return Standing(status, reasons or [])
