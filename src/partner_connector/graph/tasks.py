"""Meaning of Meta's tasks, roles and scopes; Meta may add values to each.

See `docs/reference/graph-facts.md#full-control` and `#open-spelling`.
"""

from collections.abc import Collection
from typing import Literal

# The six scopes that a partner's token needs.
REQUIRED_SCOPES: frozenset[str] = frozenset(
    {
        "ads_management",
        "business_management",
        "catalog_management",
        "pages_manage_metadata",
        "pages_read_engagement",
        "pages_show_list",
    }
)

# Each of these tasks is "Full control" in Business Manager (#full-control).
_FULL_CONTROL_TASKS = {
    "ad_account": frozenset({"MANAGE"}),
    "page": frozenset({"MANAGE", "PROFILE_PLUS_FULL_CONTROL", "PROFILE_PLUS_MANAGE"}),
    "product_catalog": frozenset({"MANAGE"}),
    "pixel": frozenset({"EDIT"}),  # a pixel has no MANAGE
}
# A catalog that is shared with a business has roles instead of tasks (#asset-lists).
_FULL_CONTROL_ROLES = {"product_catalog": frozenset({"ADMIN"})}

RoleClass = Literal["admin", "employee", "other", "unknown"]


def full_control(asset_type: str, tasks: Collection[str], roles: Collection[str] = ()) -> bool:
    """Return whether these tasks or roles give full control; False for an unknown asset type."""
    return not _FULL_CONTROL_TASKS.get(asset_type, frozenset()).isdisjoint(
        task.upper() for task in tasks
    ) or not _FULL_CONTROL_ROLES.get(asset_type, frozenset()).isdisjoint(
        role.upper() for role in roles
    )


def role_class(role: str | None) -> RoleClass:
    """Return the class of a business role, in any case: "Admin" or "ADMIN" (#open-spelling)."""
    match (role or "").strip().upper():
        case "":
            return "unknown"
        case "ADMIN":
            return "admin"
        case "EMPLOYEE":
            return "employee"
        case _:
            return "other"
