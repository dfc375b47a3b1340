"""Checks of a token: pure functions from evidence to results.

Partner admins read details and remedies: remedies are plain steps in the words of Meta's menus.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from partner_connector.graph import REQUIRED_SCOPES, full_control
from partner_connector.worker.meta.shared_assets import SharedAsset
from partner_connector.worker.validation.evidence import Evidence, Subject
from partner_connector.worker.validation.verdicts import Check, skipped

_GENERATE_AGAIN = (
    "In Meta Business Manager open Settings > Users > System users, select the system user and "
    "click Generate new token. Then hand over the new token."
)
_NO_PERMISSIONS_SHOWN = "Meta did not show the token's permissions."
_NAMED_AT_MOST = 10


@dataclass(frozen=True, slots=True)
class Reuse:
    """Other uses, in the workspace, of this token or of another token of the same system user."""

    is_own_token: bool = False
    active_at: Sequence[str] = ()


def evaluate(
    evidence: Evidence, subject: Subject, reuse: Reuse, names: Sequence[str]
) -> list[Check]:
    """Return the checks that `names` lists, in that order."""
    found = [Check("format", "pass", "ok", "The text looks like a token."), _live(evidence)]
    if found[-1].status == "fail":
        return [*found, *skipped(names[2:])]
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
        return Check("live", "unknown", "not_shown", "Meta did not show the token's user.")
    details = {
        463: ("token_expired", "The token has expired."),
        460: ("token_revoked", "The token was invalidated."),
        458: ("token_revoked", "The app was removed, which revoked the token."),
        467: ("token_revoked", "The token was revoked."),
    }
    name, detail = details.get(subcode or 0, ("token_invalid", "Meta does not accept the token."))
    text = f"{detail} (Meta's error {code}{f'/{subcode}' if subcode else ''})"
    return Check("live", "fail", name, text, _GENERATE_AGAIN)


def _token_type(evidence: Evidence) -> Check:
    kind = evidence.inspection.type if evidence.inspection else None
    if kind is None:
        return Check("token_type", "unknown", "not_shown", "Meta did not show the token's type.")
    if kind == "SYSTEM_USER":
        return Check("token_type", "pass", "ok", "The token belongs to a system user.")
    return Check(
        "token_type",
        "fail",
        "not_a_system_user_token",
        f"The token has the type {kind}. It must be the token of a system user.",
        "Generate the token in Meta Business Manager under Settings > Users > System users. Do not "
        "use a developer tool.",
    )


def _app(evidence: Evidence, subject: Subject) -> Check:
    app_id = evidence.token_app_id
    request = (
        "In Meta Business Manager open Settings > Accounts > Apps, click Add > Request Access to "
        f"an App ID, enter {subject.app_id} and click Request app."
    )
    if app_id is None:
        return Check("app", "unknown", "not_shown", "Meta did not show which app the token is for.")
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
            "The token is for the right app, but Meta does not show that the business has access "
            "to this app. The access request may still be pending.",
            f"{request} Then wait for the approval. If the request is already sent, only wait.",
        )
    return Check(
        "app", "pass", "ok", "The token is for the right app, and the business may use it."
    )


def _owner_business(evidence: Evidence, subject: Subject) -> Check:
    name = "owner_business"
    wrong = Check(
        name,
        "fail",
        "token_of_another_business",
        f"The token does not belong to the business {subject.business_id}.",
        "Generate the token in that business. The name at the top of Meta's Settings shows which "
        "business is open.",
    )
    if evidence.system_users is not None and evidence.system_user_id is not None:
        if evidence.system_user is not None:
            return Check(name, "pass", "ok", "The system user belongs to the business.")
        return wrong
    if evidence.business_ids is not None:
        if subject.business_id in evidence.business_ids:
            return Check(name, "pass", "ok", "The token's user belongs to the business.")
        if evidence.business_ids:
            return wrong
    if evidence.business_is_visible is False:
        return wrong
    return Check(name, "unknown", "not_shown", "Meta did not show the token's business.")


def _partner_listed(subject: Subject) -> Check:
    if subject.partner_is_listed:
        return Check("partner_listed", "pass", "ok", "Meta lists the business as a partner.")
    return Check(
        "partner_listed",
        "fail",
        "partner_not_listed",
        "Meta no longer lists this business as a partner.",
        "Share at least one asset between the two businesses, in either direction. Then check for "
        "updates.",
    )


def _scopes_required(evidence: Evidence) -> Check:
    scopes = evidence.granted_scopes
    if scopes is None:
        return Check("scopes_required", "unknown", "not_shown", _NO_PERMISSIONS_SHOWN)
    missing = sorted(REQUIRED_SCOPES - scopes)
    if not missing:
        return Check("scopes_required", "pass", "ok", "The token has all six required permissions.")
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
        return Check("scopes_excess", "unknown", "not_shown", _NO_PERMISSIONS_SHOWN)
    excess = sorted(scopes - REQUIRED_SCOPES - {"public_profile"})
    if not excess:
        return Check("scopes_excess", "pass", "ok", "The token has no unneeded permission.")
    return Check(
        "scopes_excess",
        "warn",
        "scopes_excess",
        f"Permissions that are not needed: {', '.join(excess)}.",
        "This does not block the token. It is safer to use one with only the six permissions.",
    )


def _scopes_narrowed(evidence: Evidence) -> Check:
    name = "scopes_narrowed"
    if evidence.inspection is None:
        return Check(name, "unknown", "not_shown", "Meta did not show which assets are covered.")
    granular = evidence.inspection.granular_scopes
    # A narrowed token does not list the assets it leaves out: our own business's list counts too.
    known = [*evidence.shared, *(evidence.shared_by_us or ())]
    outside = [asset for asset in known if _is_outside(asset, granular)]
    if outside:
        return Check(
            name,
            "fail",
            "scopes_narrowed",
            f"The token's permissions cover only some assets. They leave out {_names(outside)}.",
            f"{_GENERATE_AGAIN} Do not limit the permissions to single assets.",
        )
    if evidence.is_narrowed:
        detail = (
            "The token's permissions cover only some assets. This check could not confirm that "
            "they include every shared asset."
        )
        return Check(name, "unknown", "narrowed_not_proven", detail, _GENERATE_AGAIN)
    return Check(name, "pass", "ok", "The permissions are not limited to single assets.")


# The permission that Meta needs for reading each type of asset.
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
        return Check("expiry", "unknown", "not_shown", "Meta did not show when the token expires.")
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
    # How Meta spells the role is not confirmed: docs/reference/graph-facts.md#open-spelling.
    if role.upper() == "ADMIN":
        return Check("system_user_role", "pass", "ok", "The system user has the Admin role.")
    return Check(
        "system_user_role",
        "fail",
        "system_user_not_admin",
        f"The system user has the role {role}. It must have the Admin role.",
        "In Meta Business Manager open Settings > Users > System users, add a system user with "
        "the Admin role and generate the token for this system user.",
    )


def _assets_full_control(evidence: Evidence) -> Check:
    name = "assets_full_control"
    assign = (
        "In Meta Business Manager open Settings > Users > System users, select the system user, "
        "click Assign assets, select the shared assets, give Full control and click Save changes."
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
            f"The system user lacks Full control on {_names(lacking)}. Often the way the asset is "
            "shared does not allow more.",
            assign,
        )
    if len(shown) < len(evidence.shared) or not evidence.shares_are_complete:
        detail = (
            f"The system user has Full control on the {len(shown)} shared assets that Meta showed. "
            "Meta did not show all shared assets."
        )
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
        return Check(name, "pass", "ok", "The token can list the users of the business.")
    if evidence.can_list_assigned_users:
        return Check(name, "pass", "ok", "The token can list the users of shared assets.")
    if evidence.can_list_assigned_users is None:
        return Check(name, "unknown", "not_shown", "There was no asset to test this on.")
    return Check(
        name,
        "fail",
        "cannot_list_users",
        "Meta does not allow this token to list the users of the business.",
        f"{_GENERATE_AGAIN} Select business_management in the Permissions section.",
    )


def _not_host_token(reuse: Reuse) -> Check:
    if not reuse.is_own_token:
        return Check(
            "not_host_token",
            "pass",
            "ok",
            "The token is not the connected business's own.",
        )
    return Check(
        "not_host_token",
        "fail",
        "host_token",
        "This is the token of the connected business itself. A token of the partner is needed.",
        "Generate the token in the partner's business, not in the connected business.",
    )


def _not_reused(reuse: Reuse) -> Check:
    if not reuse.active_at:
        detail = "The token is not active for any other connection of this workspace."
        return Check("not_reused", "pass", "ok", detail)
    return Check(
        "not_reused",
        "fail",
        "token_active_elsewhere",
        "This token, or another token of the same system user, is already active for "
        f"{', '.join(reuse.active_at)}.",
        "Each business needs its own token. Generate the token in the business that this "
        "connection is for.",
    )
