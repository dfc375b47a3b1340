"""How an integration is doing: its own token, and the version of Meta's API."""

from collections.abc import Sequence
from typing import Any

from partner_connector.db.models import Integration
from partner_connector.db.models.token import WORKING

VERSION_MISMATCH = "graph_version_mismatch"
VERSION_SUNSET = "graph_version_sunset"


def note_own_token(integration: Integration, health: str, reasons: Sequence[Any]) -> None:
    """What is known of our own token takes the place of what was; the version's reasons stay."""
    others = of_version(integration.health_reasons)
    is_well = health in WORKING and not mismatch_in(others)
    integration.health = "healthy" if is_well else "attention_required"
    integration.health_reasons = [*others, *reasons]


def of_version(reasons: Sequence[Any]) -> list[Any]:
    """The reasons that are about the version of the API."""
    return [one for one in reasons if one["code"] in {VERSION_MISMATCH, VERSION_SUNSET}]


def mismatch_in(reasons: Sequence[Any]) -> bool:
    """Whether Meta answers with another version than it is asked for."""
    return any(one["code"] == VERSION_MISMATCH for one in reasons)
