"""Replay of the change feed from its first event.

A client that follows the feed must end with the state that the API shows. Each event is compared
with the state before it, so that a repeated event or one out of order is found.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

FACTS = (
    "meta_user_id",
    "name",
    "kind",
    "email",
    "title",
    "role",
    "role_class",
    "two_factor",
    "finance_permission",
)
_COMING = {"user_joined", "user_rejoined"}
_FACT_CHANGES = {
    "user_name_changed",
    "user_email_changed",
    "user_role_changed",
    "user_two_factor_changed",
}


@dataclass(slots=True)
class Replayed:
    """State of a client that has read the whole feed."""

    partners: set[str] = field(default_factory=set)
    """Partners that are listed."""
    users: dict[str, Json] = field(default_factory=dict)
    """Active users by id: their partner and facts."""
    left: dict[str, Json] = field(default_factory=dict)
    """Users who left, with their last facts."""
    grants: dict[tuple[str, str, str], Json] = field(default_factory=dict)
    """Tasks and full control by user, asset and way."""
    shares: dict[tuple[str, str], Json] = field(default_factory=dict)
    """Shared assets by partner and asset."""
    last_sequence: int = 0
    wrong: list[str] = field(default_factory=list)
    """Events that do not follow from the earlier ones: repeated, unordered, of unknown users."""

    def shown(self) -> dict[str, Json]:
        """Return the active users with their grants, in the form of `shown`."""
        known: dict[str, Json] = {key: {**user, "grants": {}} for key, user in self.users.items()}
        for (user_id, asset_id, via), grant in self.grants.items():
            known[user_id]["grants"][f"{asset_id} {via}"] = grant
        return known


def replay(changes: Iterable[Json]) -> Replayed:
    """Replay all events of one feed, from the first one."""
    known = Replayed()
    for change in changes:
        if change["sequence"] <= known.last_sequence:
            known.wrong.append(f"{_named(change)} comes after {known.last_sequence}")
        known.last_sequence = change["sequence"]
        if not _play(known, change):
            known.wrong.append(f"{_named(change)} changes nothing, or not what was known")
    return known


def shown(items: Iterable[Json]) -> dict[str, Json]:
    """Return the API's active users, read with `expand=grants`, as `Replayed.shown` does."""
    return {
        item["id"]: {
            "partner_id": item["partner_id"],
            **{name: item[name] for name in FACTS},
            "grants": {
                f"{grant['asset']['id']} {grant['via']}": {
                    "tasks": sorted(grant["tasks"]),
                    "full_control": grant["full_control"],
                }
                for grant in item["grants"]
            },
        }
        for item in items
    }


def _named(change: Json) -> str:
    of = change.get("partner_user_id") or change["partner_id"]
    return f"{change['sequence']} {change['kind']} of {of} {change.get('asset_id') or ''}".rstrip()


def _play(known: Replayed, change: Json) -> bool:
    """Apply the event; return whether it leads from its `before` to a different `after`."""
    kind = change["kind"]
    if kind.startswith("partner_"):
        return _partner(known, change)
    if kind.startswith("asset_"):
        return _share(known, change)
    if kind.startswith("access_"):
        return _access(known, change)
    return _user(known, change)


def _partner(known: Replayed, change: Json) -> bool:
    is_listed = change["partner_id"] in known.partners
    if change["kind"] == "partner_listed":
        known.partners.add(change["partner_id"])
        return not is_listed
    known.partners.discard(change["partner_id"])
    return change["kind"] == "partner_unshared" and is_listed


def _share(known: Replayed, change: Json) -> bool:
    key = (change["partner_id"], change["asset_id"])
    if change["kind"] == "asset_shared":
        is_new = key not in known.shares
        known.shares[key] = change["after"]
        return is_new and change["before"] is None and change["after"] is not None
    was_there = known.shares.pop(key, None) is not None
    return change["kind"] == "asset_unshared" and was_there and change["after"] is None


def _access(known: Replayed, change: Json) -> bool:
    reported = change["after"] or change["before"]
    key = (change["partner_user_id"], change["asset_id"], reported["via"])
    before, after = _grant(change["before"]), _grant(change["after"])
    follows = known.grants.get(key) == before and before != after
    if after is None:
        known.grants.pop(key, None)
    else:
        known.grants[key] = after
    in_turn = {
        "access_granted": before is None,
        "access_changed": before is not None and after is not None,
        "access_revoked": after is None,
    }
    return follows and key[0] in known.users and in_turn.get(change["kind"], False)


def _grant(reported: Json | None) -> Json | None:
    if reported is None:
        return None
    return {"tasks": sorted(reported["tasks"]), "full_control": reported["full_control"]}


def _user(known: Replayed, change: Json) -> bool:
    user_id, kind = change["partner_user_id"], change["kind"]
    before, after = change["before"], change["after"]
    is_in, was_in = user_id in known.users, user_id in known.left
    if kind in _COMING:
        known.left.pop(user_id, None)
        facts = {name: after[name] for name in FACTS}
        known.users[user_id] = {"partner_id": change["partner_id"], **facts}
        return not is_in and was_in == (kind == "user_rejoined")
    if not is_in:
        return False
    user = known.users[user_id]
    if kind == "user_left":
        known.left[user_id] = known.users.pop(user_id)
        holds = any(key[0] == user_id for key in known.grants)
        return after is None and not holds and _agrees(user, before)
    follows = kind in _FACT_CHANGES and before != after and _agrees(user, before)
    known.users[user_id] = {**user, **after}
    return follows


def _agrees(user: Json, reported: Json) -> bool:
    return all(user[name] == value for name, value in reported.items())
