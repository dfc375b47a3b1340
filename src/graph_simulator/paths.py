"""From a path to an answer: versions, node ids, edges and the few special paths."""

import re
from typing import Any

from graph_simulator import errors
from graph_simulator.people_types import FOREIGN_APP_OFFSET
from graph_simulator.reader import NODE_TYPES, read_edge, read_node
from graph_simulator.records import SystemUser
from graph_simulator.schema import NodeType, Params, Reading
from graph_simulator.tokens_at_work import debug_token
from graph_simulator.vocabulary import KINDS

NEWEST = (26, 0)
OLDEST_SERVED = (21, 0)
_VERSION = re.compile(r"v(\d{1,3})\.(\d)")
_NODE_AND_EDGE = 2


def split_version(path: str) -> tuple[str, list[str]]:
    """`/v26.0/1/agencies` → ("v26.0", ["1", "agencies"]); no version gives an empty text."""
    parts = [part for part in path.split("/") if part]
    if parts and _VERSION.fullmatch(parts[0]):
        return parts[0], parts[1:]
    return "", parts


def served_version(asked: str, unversioned: str) -> str | None:
    """An expired version is served by the oldest living one, a future one by none (section 1)."""
    match = _VERSION.fullmatch(asked or unversioned)
    if match is None:
        return None
    version = (int(match[1]), int(match[2]))
    if version > NEWEST or version < (2, 0):
        return None
    major, minor = max(version, OLDEST_SERVED)
    return f"v{major}.{minor}"


def edge_name(parts: list[str]) -> str:
    """How faults and counters call a path: the edge, else `me`, `app`, `debug_token` or `node`."""
    if not parts:
        return "root"
    if len(parts) > 1:
        return parts[-1]
    return parts[0] if parts[0] in ("me", "app", "debug_token") else "node"


def answer(reading: Reading, parts: list[str], params: Params, now: float) -> dict[str, Any]:
    if not parts:
        raise errors.ids_removed() if "ids" in params else errors.unsupported_get("")
    if parts == ["debug_token"]:
        return debug_token(reading.world, reading.switches, reading.viewer, params, now)
    node_type, node = _find(reading, parts[0])
    if len(parts) == 1:
        return read_node(reading, node_type, node, params)
    if len(parts) > _NODE_AND_EDGE or parts[1] not in node_type.edges:
        raise errors.unknown_path("/".join(parts[1:]))
    _require_readable(reading, parts[0], node_type, node)
    return read_edge(reading, node_type, node, parts[1], params)


def _require_readable(reading: Reading, name: str, node_type: NodeType, node: Any) -> None:
    """Edges of a business decide for themselves; all others need a node one may read."""
    if node_type.name != "Business" and name != "me":
        node_type.check(reading, node)


def _find(reading: Reading, name: str) -> tuple[NodeType, Any]:
    world, viewer = reading.world, reading.viewer
    if name == "me":
        return _me(reading)
    if name == "app":
        return NODE_TYPES["Application"], world.apps[viewer.token.app_id]
    if name.startswith("act_") and name[4:].isdigit():
        asset = world.assets.get(name[4:])
        if asset is None or asset.kind != "ad_account":
            raise errors.unsupported_get(name)
        return NODE_TYPES["AdAccount"], asset
    if not name.isdigit():
        raise errors.unknown_alias(name)
    return _by_number(reading, name)


def _by_number(reading: Reading, number: str) -> tuple[NodeType, Any]:
    world = reading.world
    if business := world.businesses.get(number):
        return NODE_TYPES["Business"], business
    asset = world.assets.get(number)
    if asset is not None and asset.kind != "ad_account":  # those answer to act_ only
        return NODE_TYPES[KINDS[asset.kind].node_type], asset
    if member := world.members.get(_unscoped(reading, number)):
        kind = "SystemUser" if isinstance(member, SystemUser) else "BusinessUser"
        return NODE_TYPES[kind], member
    if group := world.groups.get(number):
        return NODE_TYPES["BusinessAssetGroup"], group
    if app := world.apps.get(number):
        return NODE_TYPES["Application"], app
    if account := world.accounts.get(number):
        return NODE_TYPES["User"], account
    raise errors.unsupported_get(number)


def _unscoped(reading: Reading, number: str) -> str:
    """Open question 10, the way back: another app's id for one of our system users."""
    foreign = reading.viewer.token.app_id != reading.world.app.id
    if not (reading.switches.app_scoped_system_users and foreign):
        return number
    return str(int(number) - FOREIGN_APP_OFFSET)


def _me(reading: Reading) -> tuple[NodeType, Any]:
    world, token = reading.world, reading.viewer.token
    if token.type == "APP":
        raise errors.no_token()
    if token.type == "PAGE":
        return NODE_TYPES["Page"], world.assets[token.owner_id]
    if token.type == "USER" and token.owner_id in world.accounts:
        return NODE_TYPES["User"], world.accounts[token.owner_id]
    member = world.members.get(token.owner_id)
    if member is None:
        raise errors.revoked_token(460)
    return NODE_TYPES["SystemUser"], member
