"""What tasks, roles and scopes mean; all of them open sets of strings (3.3, 12.9)."""

from collections.abc import Collection
from typing import Literal

# The six permissions a partner's token must carry.
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

# Any one of these tasks is "Full control" in Business Manager's words (3.3 [S]).
_FULL_CONTROL_TASKS = {
    "ad_account": frozenset({"MANAGE"}),
    "page": frozenset({"MANAGE", "PROFILE_PLUS_FULL_CONTROL", "PROFILE_PLUS_MANAGE"}),
    "product_catalog": frozenset({"MANAGE"}),
    "pixel": frozenset({"EDIT"}),  # a pixel has no MANAGE
}
# A catalog shared to a business tells roles instead of tasks (2.3 [D]).
_FULL_CONTROL_ROLES = {"product_catalog": frozenset({"ADMIN"})}

RoleClass = Literal["admin", "employee", "other", "unknown"]


def full_control(asset_type: str, tasks: Collection[str], roles: Collection[str] = ()) -> bool:
    """Whether these tasks or roles are full control; False for a type without a known rule."""
    return not _FULL_CONTROL_TASKS.get(asset_type, frozenset()).isdisjoint(
        task.upper() for task in tasks
    ) or not _FULL_CONTROL_ROLES.get(asset_type, frozenset()).isdisjoint(
        role.upper() for role in roles
    )


def role_class(role: str | None) -> RoleClass:
    """A business role, coarsely; its spelling is not settled ("Admin" or "ADMIN", 12.9)."""
    match (role or "").strip().upper():
        case "":
            return "unknown"
        case "ADMIN":
            return "admin"
        case "EMPLOYEE":
            return "employee"
        case _:
            return "other"
