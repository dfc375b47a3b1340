"""Health of an integration: the state of our own token, and the version of Meta's API."""

from collections.abc import Sequence
from typing import Any

from partner_connector.db.models import Integration
from partner_connector.db.models.token import WORKING

VERSION_MISMATCH = "graph_version_mismatch"
VERSION_SUNSET = "graph_version_sunset"


def record_own_token_health(integration: Integration, health: str, reasons: Sequence[Any]) -> None:
    """Replace the health reasons of our own token, and keep those of the API version."""
    others = version_reasons(integration.health_reasons)
    is_well = health in WORKING and not has_version_mismatch(others)
    integration.health = "healthy" if is_well else "attention_required"
    integration.health_reasons = [*others, *reasons]


def version_reasons(reasons: Sequence[Any]) -> list[Any]:
    """Return the health reasons that concern the version of the API."""
    return [one for one in reasons if one["code"] in {VERSION_MISMATCH, VERSION_SUNSET}]


def has_version_mismatch(reasons: Sequence[Any]) -> bool:
    """Return whether Meta answered with another API version than the requested one."""
    return any(one["code"] == VERSION_MISMATCH for one in reasons)
