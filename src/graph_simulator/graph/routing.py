"""Routing of a path to a node, an edge or a special path (`me`, `app`, `debug_token`).

A mark such as `#open-app-scoped-ids` is a heading of `docs/reference/graph-facts.md`.
"""

from collections.abc import Mapping
from typing import Any

from graph_simulator.graph import errors
from graph_simulator.graph.authentication import debug_token
from graph_simulator.graph.people_types import FOREIGN_APP_OFFSET
from graph_simulator.graph.reader import NODE_TYPES, read_edge, read_node
from graph_simulator.graph.schema import NodeType, Params, Reading
from graph_simulator.model.records import SystemUser
from graph_simulator.model.registry import World
from graph_simulator.model.vocabulary import KINDS

_NODE_AND_EDGE = 2


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
    """Check that the node is readable. Edges of a business and of `me` check this themselves."""
    if node_type.name != "Business" and name != "me":
        node_type.check(reading, node)


def _find(reading: Reading, name: str) -> tuple[NodeType, Any]:
    world, viewer = reading.world, reading.viewer
    if name == "me":
        return _me(reading)
    if name == "app":
        return NODE_TYPES["Application"], world.apps[viewer.token.app_id]
    if not name.removeprefix("act_").isdigit():
        raise errors.unknown_alias(name)
    found = _node_with_id(world, name, _unscoped(reading, name))
    if found is None:
        raise errors.unsupported_get(name)
    return found


def type_of(world: World, name: str) -> str | None:
    """Return the node type of an id, without checking access; None for an unknown id."""
    found = _node_with_id(world, name, name)
    return found[0].name if found else None


def _node_with_id(world: World, number: str, member_id: str) -> tuple[NodeType, Any] | None:
    if asset := world.assets.get(number.removeprefix("act_")):
        is_account = asset.kind == "ad_account"
        # Only ad accounts have the prefix act_, and they always need it.
        known = is_account == number.startswith("act_")
        return (NODE_TYPES[KINDS[asset.kind].node_type], asset) if known else None
    if member := world.members.get(member_id):
        kind = "SystemUser" if isinstance(member, SystemUser) else "BusinessUser"
        return NODE_TYPES[kind], member
    indexes: dict[str, Mapping[str, Any]] = {
        "Business": world.businesses,
        "BusinessAssetGroup": world.groups,
        "Application": world.apps,
        "User": world.accounts,
    }
    for node_type, index in indexes.items():
        if number in index:
            return NODE_TYPES[node_type], index[number]
    return None


def _unscoped(reading: Reading, number: str) -> str:
    """Convert a system user's id as another app sees it (`#open-app-scoped-ids`)."""
    foreign = reading.viewer.token.app_id != reading.world.app.id
    if not (reading.switches.app_scoped_system_users and foreign and number.isdigit()):
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
