"""Onboarding checklist of a partner, derived from the checks of its latest token validation.

Pure functions: rows in, steps out. A step without evidence is `unknown`, never `to_do`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from partner_connector.db.models import Partner, TokenValidation
from partner_connector.features.partners.schemas import OnboardingStep
from partner_connector.features.partners.status import OnboardingState

Checks = Mapping[str, Mapping[str, Any]]

_GENERATE = (
    "In Meta Business Manager open Settings > Users > System users and select the system user. "
    "Click Generate new token and select the app. Select Never for the token expiration, select "
    "the six permissions and click Generate token."
)
_REPLACE = "Generate a new token and connect the partner with it."
# `maxLength` of `evidence` and `next_action`.
_MAX_LENGTH = 2000
_STEPS: Sequence[tuple[str, str, Sequence[str], str]] = (
    (
        "app_access",
        "App access requested and approved",
        ("app",),
        "In Meta Business Manager open Settings > Accounts > Apps, click Add > Request Access to "
        "an App ID, enter the app ID {app_id} and click Request app. Then wait for the approval.",
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
        "Full control of every shared asset assigned to the system user",
        ("assets_full_control",),
        "In Meta Business Manager open Settings > Users > System users and select the system user. "
        "Click Assign assets, select every shared asset, assign Full control and click Save "
        "changes.",
    ),
    (
        "token_generated",
        "Token generated for the right app, with expiration Never and six permissions",
        ("format", "live", "token_type", "scopes_required", "expiry"),
        _GENERATE,
    ),
)


def steps(
    partner: Partner, state: OnboardingState, newest: TokenValidation | None, *, app_id: str
) -> list[OnboardingStep]:
    """Return the seven steps in order.

    `newest` is the completed validation to read evidence from; None: no token was validated yet.
    """
    checks: Checks = {check["id"]: check for check in newest.checks} if newest else {}
    steps_in_meta = [
        _step_from_checks(step_id, title, names, action.format(app_id=app_id), checks)
        for step_id, title, names, action in _STEPS
    ]
    first_sync = _first_sync(partner, state.status)
    return [*steps_in_meta, _handed_over(newest), _connected(state), first_sync]


def _step_from_checks(
    step_id: str, title: str, names: Sequence[str], action: str, checks: Checks
) -> OnboardingStep:
    seen = [checks[name] for name in names if name in checks]
    refused = [check for check in seen if check["status"] == "fail"]
    unclear = [check for check in seen if check["status"] == "unknown"]
    status = "to_do" if refused else "unknown" if unclear or not seen else "done"
    decisive = refused or unclear or seen
    evidence = " ".join(check["detail"] for check in decisive)
    remedies = [check["remedy"] for check in decisive if check["remedy"]]
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
        evidence="A token was handed over." if newest else "No token has been handed over yet.",
        next_action=None
        if newest
        else "Hand over the token. Seal it for the current key if you can.",
    )


def _connected(state: OnboardingState) -> OnboardingStep:
    details = [reason["detail"] for reason in state.reasons]
    remedies = dict.fromkeys(reason["remedy"] for reason in state.reasons if reason["remedy"])
    if state.status == "onboarded":
        # Reasons of a working token are warnings: what will need attention soon.
        seen = " ".join(["The token passed its validation and is active.", *details])
        found = "done", seen, " ".join(remedies) or None
    elif state.status == "needs_attention":
        seen = " ".join(details) or "The active token no longer passes every check."
        found = "to_do", seen, " ".join(remedies) or _REPLACE
    else:
        found = "to_do", "The partner has no active token.", "Connect the partner with a token."
    status, evidence, action = found
    return OnboardingStep(
        id="connected",
        title="Connected",
        status=status,
        evidence=evidence[:_MAX_LENGTH],
        next_action=action and action[:_MAX_LENGTH],
    )


def _first_sync(partner: Partner, status: str) -> OnboardingStep:
    if partner.data_as_of is not None:
        state, evidence, action = "done", "A check for updates has been completed.", None
    elif status == "pending_onboarding":
        state, evidence, action = "to_do", "The partner is not connected yet.", None
    else:
        state = "to_do"
        evidence = "No check for updates has been completed yet."
        action = "Wait for the first check for updates to complete, or start one."
    return OnboardingStep(
        id="first_sync",
        title="First check for updates complete",
        status=state,
        evidence=evidence,
        next_action=action,
    )
