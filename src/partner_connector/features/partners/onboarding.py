"""The article's checklist, read off the evidence of the newest proof.

Pure: rows in, steps out. A step that nothing was seen about is `unknown`, never `to_do`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from partner_connector.db.models import Partner, TokenValidation
from partner_connector.features.partners.schemas import OnboardingStep
from partner_connector.features.partners.status import Standing

Checks = Mapping[str, Mapping[str, Any]]

_GENERATE = (
    "In Meta Business Manager open Settings > Users > System users, select the system user, "
    "click Generate new token, select the app, choose Never for the token expiration and the six "
    "permissions."
)
_REPLACE = "Generate a new token and connect the partner with it."
# As long as the contract allows.
_MOST = 2000
_STEPS: Sequence[tuple[str, str, Sequence[str], str]] = (
    (
        "app_access",
        "App access requested and approved",
        ("app",),
        "In Meta Business Manager open Settings > Accounts > Apps, click Add > Request Access to "
        "an App ID, enter the app id {app_id} and click Request app. Then wait for the approval.",
    ),
    (
        "system_user_admin",
        "System user with the Admin role",
        ("system_user_role",),
        "In Meta Business Manager open Settings > Users > System users and add a system user with "
        "the Admin role.",
    ),
    (
        "assets_assigned",
        "Every shared asset assigned with Full control",
        ("assets_full_control",),
        "Select the system user, click Assign assets, select every shared asset, give Full "
        "control and click Save changes.",
    ),
    (
        "token_generated",
        "Token generated: right app, never expiring, six permissions",
        ("format", "live", "token_type", "scopes_required", "expiry"),
        _GENERATE,
    ),
)


def steps(
    partner: Partner, standing: Standing, newest: TokenValidation | None, *, app_id: str
) -> list[OnboardingStep]:
    """The seven steps in order."""
    checks: Checks = {check["id"]: check for check in newest.checks} if newest else {}
    proven = [
        _step_from_checks(step_id, title, names, action.format(app_id=app_id), checks)
        for step_id, title, names, action in _STEPS
    ]
    first_sync = _first_sync(partner, standing.status)
    return [*proven, _handed_over(newest), _connected(standing), first_sync]


def _step_from_checks(
    step_id: str, title: str, names: Sequence[str], action: str, checks: Checks
) -> OnboardingStep:
    seen = [checks[name] for name in names if name in checks]
    refused = [check for check in seen if check["status"] == "fail"]
    unclear = [check for check in seen if check["status"] == "unknown"]
    status = "to_do" if refused else "unknown" if unclear or not seen else "done"
    telling = refused or unclear or seen
    evidence = " ".join(check["detail"] for check in telling)
    remedies = [check["remedy"] for check in telling if check["remedy"]]
    return OnboardingStep(
        id=step_id,
        title=title,
        status=status,
        evidence=evidence if seen else "No token of this partner has been checked yet.",
        next_action=None if status == "done" else (" ".join(remedies) or action),
    )


def _handed_over(newest: TokenValidation | None) -> OnboardingStep:
    return OnboardingStep(
        id="token_handed_over",
        title="Token handed over",
        status="done" if newest else "to_do",
        evidence="A token was handed over." if newest else "No token was handed over yet.",
        next_action=None if newest else "Hand the token over, best sealed for the current key.",
    )


def _connected(standing: Standing) -> OnboardingStep:
    details = [reason["detail"] for reason in standing.reasons]
    remedies = dict.fromkeys(reason["remedy"] for reason in standing.reasons if reason["remedy"])
    if standing.status == "onboarded":
        # What will need attention soon is told beforehand.
        told = ["The token was proven and is active.", *details]
        found = "done", " ".join(told), " ".join(remedies) or None
    elif standing.status == "needs_attention":
        seen = " ".join(details) or "The active token no longer works as it should."
        found = "to_do", seen, " ".join(remedies) or _REPLACE
    else:
        found = "to_do", "The partner has no active token.", "Connect the partner with a token."
    status, evidence, action = found
    return OnboardingStep(
        id="connected",
        title="Connected",
        status=status,
        evidence=evidence[:_MOST],
        next_action=action and action[:_MOST],
    )


def _first_sync(partner: Partner, status: str) -> OnboardingStep:
    if partner.data_as_of is not None:
        state, evidence, action = "done", "A check for updates has been completed.", None
    elif status == "pending_onboarding":
        state, evidence, action = "to_do", "The partner is not connected yet.", None
    else:
        state = "to_do"
        evidence = "No check for updates has been completed yet."
        action = "Wait for the first check for updates, or start one."
    return OnboardingStep(
        id="first_sync",
        title="First check for updates complete",
        status=state,
        evidence=evidence,
        next_action=action,
    )
