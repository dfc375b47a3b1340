"""Expected API content, computed from the simulator's state only."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

TYPES = ("ad_account", "page", "product_catalog", "pixel")
_FULL_CONTROL = {
    "ad_account": {"MANAGE"},
    "page": {"MANAGE", "PROFILE_PLUS_FULL_CONTROL", "PROFILE_PLUS_MANAGE"},
    "product_catalog": {"MANAGE"},
    "pixel": {"EDIT"},
}


def asset_counts(partner: Json) -> dict[str, int]:
    """Count shared assets by type, both directions together."""
    found = Counter(asset["type"] for asset in partner["shared_assets"])
    return {kind: found[kind] for kind in TYPES}


def assets(partner: Json) -> dict[str, Json]:
    """Return shared assets by Meta's id, as `GET /v1/partners/{id}/assets` should return them."""
    return {
        asset["id"]: {
            "type": asset["type"],
            "name": asset["name"],
            "direction": asset["direction"],
            "permitted_tasks": _permitted(asset),
            "user_count": len({row["id"] for row in _ways_to(asset)}),
        }
        for asset in partner["shared_assets"]
    }


def users(partner: Json) -> dict[str, Json]:
    """Return people and system users with any access to a shared asset, by Meta's id."""
    grants: dict[str, dict[str, Any]] = {}
    for asset in partner["shared_assets"]:
        for row in _ways_to(asset):
            grants.setdefault(row["id"], {})[_grant_key(asset["id"], row["via"])] = {
                "type": asset["type"],
                "name": asset["name"],
                "tasks": sorted(row["tasks"]),
                "full_control": bool(_FULL_CONTROL[asset["type"]] & set(row["tasks"])),
            }
    known = _everyone(partner)
    return {user_id: {**known[user_id], "grants": of_user} for user_id, of_user in grants.items()}


def people_not_stored(partner: Json) -> int:
    """Count the partner's people without access to a shared asset."""
    stored = users(partner)
    return sum(person["id"] not in stored for person in partner["people"])


def names(partner: Json) -> set[str]:
    """Return the names of the users whom we should show."""
    return {user["name"] for user in users(partner).values()}


def shown_users(items: Iterable[Json]) -> dict[str, Json]:
    """Return the API's partner users in the form of `users`."""
    return {
        item["meta_user_id"]: {
            "name": item["name"],
            "email": item["email"],
            "role": item["role"],
            "kind": item["kind"],
            "title": item["title"],
            "grants": {
                _grant_key(grant["asset"]["meta_id"], grant["via"]): {
                    "type": grant["asset"]["type"],
                    "name": grant["asset"]["name"],
                    "tasks": sorted(grant["tasks"]),
                    "full_control": grant["full_control"],
                }
                for grant in item["grants"]
            },
        }
        for item in items
    }


def shown_assets(items: Iterable[Json]) -> dict[str, Json]:
    """Return the API's shared assets in the form of `assets`."""
    return {
        item["meta_id"]: {
            "type": item["type"],
            "name": item["name"],
            "direction": item["direction"],
            "permitted_tasks": sorted(item["permitted_tasks"]),
            "user_count": item["user_count"],
        }
        for item in items
    }


def _permitted(asset: Json) -> list[str]:
    if asset["type"] == "product_catalog":
        # For a shared catalog Meta returns roles instead of tasks.
        return ["ADMIN" if "MANAGE" in asset["permitted_tasks"] else "ADVERTISER"]
    return sorted(asset["permitted_tasks"])


def _ways_to(asset: Json) -> list[Json]:
    """Return every access to the asset, in the API's words; one user may have both ways."""
    return [
        row if row["via"] == "direct" else _through_a_group(asset, row)
        for row in (*asset["people"], *asset["system_users"])
    ]


def _through_a_group(asset: Json, row: Json) -> Json:
    """Return an access through a group; Meta returns no tasks for a catalog in a group."""
    tasks = [] if asset["type"] == "product_catalog" else row["tasks"]
    return {"id": row["id"], "tasks": tasks, "via": "asset_group"}


def _grant_key(asset_id: str, via: str) -> str:
    """Return the key of a grant: the asset alone for a direct assignment."""
    return asset_id if via == "direct" else f"{asset_id} by {via}"


def _everyone(partner: Json) -> dict[str, Json]:
    people = {
        person["id"]: {
            "name": person["name"],
            # The API compares and shows addresses in lower case.
            "email": person["email"].strip().lower() if person["email"] else None,
            "role": person["role"],
            "kind": "person",
            "title": person["title"] or None,
        }
        for person in partner["people"]
    }
    system_users = {
        member["id"]: {
            "name": member["name"],
            "email": None,
            "role": member["role"],
            "kind": "system_user",
            "title": None,
        }
        for member in (partner["system_user"], partner["employee_system_user"])
        if member is not None
    }
    return people | system_users


def counts(before: Json, after: Json) -> dict[str, int]:
    """Return the counts of a complete check that finds `after` where it knew `before`."""
    old, new = users(before), users(after)
    changed = sum(new[user_id] != old[user_id] for user_id in old.keys() & new.keys())
    added = len(new.keys() - old.keys())
    return {
        "seen": len(new),
        "added": added,
        "changed": changed,
        "removed": len(old.keys() - new.keys()),
        "unchanged": len(new) - added - changed,
    }
