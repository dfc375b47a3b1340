"""The checks of a token. Pure: evidence in, checks out. Remedies use the words of Meta's menus."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from partner_connector.graph import REQUIRED_SCOPES, full_control
from partner_connector.worker.meta.shared_assets import SharedAsset
from partner_connector.worker.validation.evidence import Evidence, Subject
from partner_connector.worker.validation.verdicts import Check, not_reached

_GENERATE_AGAIN = (
    "In Meta Business Manager open Settings > Users > System users, select the system user, click "
    "Generate new token and hand over the new token."
)
_NAMED_AT_MOST = 10


@dataclass(frozen=True, slots=True)
class Reuse:
    """Who else in the workspace uses this token, or this system user's token."""

    is_host_token: bool = False
    active_at: Sequence[str] = ()


def evaluate(
    evidence: Evidence, subject: Subject, reuse: Reuse, names: Sequence[str]
) -> list[Check]:
    """Every check of `names`, in their order."""
    found = [Check("format", "pass", "ok", "It looks like an access token."), _live(evidence)]
    if found[-1].status == "fail":
        return [*found, *not_reached(names[2:])]
    found += [
        _token_type(evidence),
        _app(evidence, subject),
        _owner_business(evidence, subject),
        _partner_listed(subject),
        _scopes_required(evidence),
        _scopes_excess(evidence),
        _scopes_narrowed(evidence),
        _expiry(evidence),
        _data_access_expiry(evidence),
        _system_user_role(evidence),
        _assets_full_control(evidence),
        _can_list_users(evidence),
        _not_host_token(reuse),
        _not_reused(reuse),
    ]
    by_id = {check.id: check for check in found}
    return [by_id[name] for name in names]


def _live(evidence: Evidence) -> Check:
    inspection = evidence.inspection
    if inspection is not None and not inspection.is_valid:
        code, subcode = inspection.error_code, inspection.error_subcode
    elif evidence.dead is not None:
        code, subcode = evidence.dead.code, evidence.dead.subcode
    elif evidence.me_id is not None:
        return Check("live", "pass", "ok", "Meta accepts the token.")
    else:
        return Check("live", "unknown", "not_shown", "Meta did not say whose token it is.")
    told = {
        463: ("token_expired", "The token has expired."),
        460: ("token_revoked", "The token was invalidated."),
        458: ("token_revoked", "The app was removed, which revoked the token."),
        467: ("token_revoked", "The token was revoked."),
    }
    name, detail = told.get(subcode or 0, ("token_invalid", "Meta does not accept the token."))
    seen = f"{detail} (Meta's error {code}{f'/{subcode}' if subcode else ''})"
    return Check("live", "fail", name, seen, _GENERATE_AGAIN)


def _token_type(evidence: Evidence) -> Check:
    kind = evidence.inspection.type if evidence.inspection else None
    if kind is None:
        return Check("token_type", "unknown", "not_shown", "Meta did not show the token's type.")
    if kind == "SYSTEM_USER":
        return Check("token_type", "pass", "ok", "It is a system user's token.")
    return Check(
        "token_type",
        "fail",
        "not_a_system_user_token",
        f"It is a token of type {kind}, not of a system user.",
        "Generate the token under Settings > Users > System users, not in a developer tool.",
    )


def _app(evidence: Evidence, subject: Subject) -> Check:
    app_id = evidence.token_app_id
    request = (
        "In Meta Business Manager open Settings > Accounts > Apps, click Add > Request Access to "
        f"an App ID, enter {subject.app_id} and click Request app."
    )
    if app_id is None:
        return Check("app", "unknown", "not_shown", "Meta did not show the token's app.")
    if app_id != subject.app_id:
        return Check(
            "app",
            "fail",
            "token_of_another_app",
            f"The token was generated for the app {app_id}, not for {subject.app_id}.",
            f"{request} Then generate a new token and choose this app.",
        )
    known = evidence.app_ids_of_business
    if known is None or subject.app_id not in known:
        return Check(
            "app",
            "warn",
            "app_access_not_visible",
            "The token is of the right app, but the business does not show an approved access to "
            "it: the request may still be pending.",
            f"{request} Wait for the approval.",
        )
    return Check("app", "pass", "ok", "The token is of the right app, which the business may use.")


def _owner_business(evidence: Evidence, subject: Subject) -> Check:
    name = "owner_business"
    wrong = Check(
        name,
        "fail",
        "token_of_another_business",
        f"The token does not belong to the business {subject.business_id}.",
        "Generate the token in that business: check the name at the top of Meta's Settings.",
    )
    if evidence.system_users is not None and evidence.system_user_id is not None:
        if evidence.system_user is not None:
            return Check(name, "pass", "ok", "The system user belongs to the business.")
        return wrong
    if evidence.business_ids is not None:
        if subject.business_id in evidence.business_ids:
            return Check(name, "pass", "ok", "The business is among those of the token.")
        if evidence.business_ids:
            return wrong
    if evidence.business_is_visible is False:
        return wrong
    return Check(name, "unknown", "not_shown", "Meta did not show whose business it is.")


def _partner_listed(subject: Subject) -> Check:
    if subject.partner_is_listed:
        return Check("partner_listed", "pass", "ok", "Meta lists the business as a partner.")
    return Check(
        "partner_listed",
        "fail",
        "partner_not_listed",
        "Meta does not list this business as a partner any more.",
        "Share at least one asset with the partner, or have it share one, then check for updates.",
    )


def _scopes_required(evidence: Evidence) -> Check:
    scopes = evidence.granted_scopes
    if scopes is None:
        return Check("scopes_required", "unknown", "not_shown", "Meta did not show permissions.")
    missing = sorted(REQUIRED_SCOPES - scopes)
    if not missing:
        return Check("scopes_required", "pass", "ok", "All six permissions are granted.")
    return Check(
        "scopes_required",
        "fail",
        "scopes_missing",
        f"Missing: {', '.join(missing)}.",
        f"{_GENERATE_AGAIN} In the Permissions section select {', '.join(missing)} as well.",
    )


def _scopes_excess(evidence: Evidence) -> Check:
    scopes = evidence.granted_scopes
    if scopes is None:
        return Check("scopes_excess", "unknown", "not_shown", "Meta did not show permissions.")
    excess = sorted(scopes - REQUIRED_SCOPES - {"public_profile"})
    if not excess:
        return Check("scopes_excess", "pass", "ok", "No permission beyond the six.")
    return Check(
        "scopes_excess",
        "warn",
        "scopes_excess",
        f"Granted, but not needed: {', '.join(excess)}.",
        "Consider a new token with the six permissions only.",
    )


def _scopes_narrowed(evidence: Evidence) -> Check:
    name = "scopes_narrowed"
    if evidence.inspection is None:
        return Check(name, "unknown", "not_shown", "Meta did not show what the token is for.")
    granular = evidence.inspection.granular_scopes
    # A narrowed token does not list what it leaves out: our own view of the shares counts too.
    known = [*evidence.shared, *(evidence.shared_by_us or ())]
    outside = [asset for asset in known if _is_outside(asset, granular)]
    if outside:
        return Check(
            name,
            "fail",
            "scopes_narrowed",
            f"The token is narrowed to some assets and leaves out {_names(outside)}.",
            f"{_GENERATE_AGAIN} Do not narrow the permissions to single assets.",
        )
    if evidence.is_narrowed:
        detail = "The token is narrowed; that it leaves out no shared asset could not be proven."
        return Check(name, "unknown", "narrowed_not_proven", detail, _GENERATE_AGAIN)
    return Check(name, "pass", "ok", "The permissions are not narrowed to single assets.")


# The permission that reading each kind of asset rests on.
_SCOPE_OF_TYPE = {
    "ad_account": "ads_management",
    "page": "pages_show_list",
    "product_catalog": "catalog_management",
    "pixel": "ads_management",
}


def _is_outside(asset: SharedAsset, granular: Any) -> bool:
    targets = granular.get(_SCOPE_OF_TYPE[asset.type])
    return targets is not None and asset.meta_id not in targets and asset.path not in targets


def _expiry(evidence: Evidence) -> Check:
    if evidence.inspection is None:
        return Check("expiry", "unknown", "not_shown", "Meta did not show when it expires.")
    return _end("expiry", evidence.inspection.expires_at, "The token")


def _data_access_expiry(evidence: Evidence) -> Check:
    name = "data_access_expiry"
    if evidence.inspection is None:
        return Check(name, "unknown", "not_shown", "Meta did not show when data access ends.")
    return _end(name, evidence.inspection.data_access_expires_at, "Its access to data")


def _end(name: str, at: datetime | None, what: str) -> Check:
    if at is None:
        return Check(name, "pass", "ok", f"{what} never expires.")
    return Check(
        name,
        "warn",
        "token_expires",
        f"{what} ends on {at:%Y-%m-%d} at {at:%H:%M} UTC.",
        f"{_GENERATE_AGAIN} Choose Never in the Token expiration section.",
    )


def _system_user_role(evidence: Evidence) -> Check:
    row = evidence.system_user
    role = str(row.get("role") or "") if row is not None else ""
    if not role:
        return Check("system_user_role", "unknown", "not_shown", "Meta did not show the role.")
    # How Meta spells it on reading is not settled (REFERENCE 12.9).
    if role.upper() == "ADMIN":
        return Check("system_user_role", "pass", "ok", "The system user is an Admin.")
    return Check(
        "system_user_role",
        "fail",
        "system_user_not_admin",
        f"The system user's role is {role}, not Admin.",
        "In Meta Business Manager open Settings > Users > System users, add a system user with "
        "the Admin role and generate the token for it.",
    )


def _assets_full_control(evidence: Evidence) -> Check:
    name = "assets_full_control"
    assign = (
        "Under Settings > Users > System users select the system user, click Assign assets, "
        "select the shared assets, give Full control and click Save changes."
    )
    shown = [asset for asset in evidence.shared if _own_tasks(evidence, asset) is not None]
    if not shown:
        return Check(name, "unknown", "not_shown", "Meta did not show the shared assets.")
    lacking = [
        asset for asset in shown if not full_control(asset.type, _own_tasks(evidence, asset) or ())
    ]
    if all(not _own_tasks(evidence, asset) for asset in shown):
        return Check(
            name,
            "fail",
            "no_asset_assigned",
            f"None of the {len(shown)} shared assets is assigned to the system user.",
            assign,
        )
    if lacking:
        return Check(
            name,
            "warn",
            "assets_lack_full_control",
            f"Without Full control: {_names(lacking)}. Often the share itself allows no more.",
            assign,
        )
    if len(shown) < len(evidence.shared) or not evidence.shares_are_complete:
        detail = f"Full control on the {len(shown)} shared assets that Meta showed; not all were."
        return Check(name, "unknown", "not_all_shown", detail)
    return Check(name, "pass", "ok", f"Full control on all {len(shown)} shared assets.")


def _own_tasks(evidence: Evidence, asset: SharedAsset) -> frozenset[str] | None:
    return evidence.own_tasks.get((asset.type, asset.meta_id))


def _names(assets: Sequence[SharedAsset]) -> str:
    named = [f"{asset.name} ({asset.type} {asset.meta_id})" for asset in assets[:_NAMED_AT_MOST]]
    rest = len(assets) - len(named)
    return ", ".join(named) + (f" and {rest} more" if rest else "")


def _can_list_users(evidence: Evidence) -> Check:
    name = "can_list_users"
    if evidence.can_list_business_users:
        return Check(name, "pass", "ok", "The token can list the business's people.")
    if evidence.can_list_assigned_users:
        return Check(name, "pass", "ok", "The token can list the people of shared assets.")
    if evidence.can_list_assigned_users is None:
        return Check(name, "unknown", "not_shown", "There was nothing to try it on.")
    return Check(
        name,
        "fail",
        "cannot_list_users",
        "Meta refuses to show this token any of the business's people.",
        f"{_GENERATE_AGAIN} Select business_management in the Permissions section.",
    )


def _not_host_token(reuse: Reuse) -> Check:
    if not reuse.is_host_token:
        return Check("not_host_token", "pass", "ok", "It is not our own business's token.")
    return Check(
        "not_host_token",
        "fail",
        "host_token",
        "This is the token of our own business, not the partner's.",
        "Have the partner's admin generate a token in the partner's business.",
    )


def _not_reused(reuse: Reuse) -> Check:
    if not reuse.active_at:
        return Check("not_reused", "pass", "ok", "It is not in use for another partner.")
    return Check(
        "not_reused",
        "fail",
        "token_active_elsewhere",
        f"It is already active for {', '.join(reuse.active_at)}.",
        "Each partner needs a token of its own business.",
    )
