"""Reads of one node or one edge: selected fields, expanded edges and pages.

A mark such as `#paging` is a heading of `docs/reference/graph-facts.md`.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from graph_simulator.graph import errors, paging
from graph_simulator.graph.app_types import APP_TYPES
from graph_simulator.graph.asset_types import ASSET_TYPES
from graph_simulator.graph.business_types import BUSINESS_TYPES, PERMISSION_ROWS
from graph_simulator.graph.errors import GraphError
from graph_simulator.graph.grammar import Selection, parse_fields
from graph_simulator.graph.people_types import PEOPLE_TYPES
from graph_simulator.graph.schema import ABSENT, Edge, NodeType, Params, Reading, Ref
from graph_simulator.model import seeded

NODE_TYPES: dict[str, NodeType] = {
    node_type.name: node_type
    for node_type in (*BUSINESS_TYPES, *APP_TYPES, *ASSET_TYPES, *PEOPLE_TYPES)
}
PERMISSION_ROW_FIELDS = ("id", "access_status", "permitted_tasks")


def read_node(reading: Reading, node_type: NodeType, node: Any, params: Params) -> dict[str, Any]:
    node_type.check(reading, node)
    selections = _selections(params)
    _validate(reading, node_type, None, selections)
    _check_data_budget(reading, _weight(selections), rows=1)
    return _render(reading, node_type, node, selections)


def read_edge(
    reading: Reading, node_type: NodeType, node: Any, edge_name: str, params: Params
) -> dict[str, Any]:
    edge = node_type.edges[edge_name]
    selections = _selections(params)
    _validate(reading, NODE_TYPES[edge.target], edge, selections)
    limit = paging.requested_limit(params, reading.switches)
    _check_data_budget(reading, _weight(selections), rows=limit)
    return _list(reading, node, edge_name, edge, params, selections)


# Lists


def _list(
    reading: Reading,
    parent: Any,
    edge_name: str,
    edge: Edge,
    params: Params,
    selections: Sequence[Selection] | None,
) -> dict[str, Any]:
    for name in edge.required:
        if not params.get(name):
            raise errors.missing_parameter(name)
    items = edge.items(reading, parent, params)
    list_name = f"{parent.id}/{edge_name}/{params.get('business', '')}"
    page = paging.page_of(items, _identify, params, list_name, reading.switches)
    target = NODE_TYPES[edge.target]
    rows = [_row(reading, target, edge, parent, item, params, selections) for item in page.items]
    answer: dict[str, Any] = {"data": rows}
    if page.after:
        answer["paging"] = _paging(reading, parent, edge_name, params, page)
    if edge.summary and params.get("summary", "").strip('[]"') in ("true", "1", "total_count"):
        answer["summary"] = {"total_count": len(items)}
    return answer


def _identify(item: Any) -> str:
    return str(item.id)


def _row(
    reading: Reading,
    target: NodeType,
    edge: Edge,
    parent: Any,
    item: Any,
    params: Params,
    selections: Sequence[Selection] | None,
) -> dict[str, Any]:
    link = edge.link(reading, parent, item, params)
    return _render(reading, target, item, selections, edge, link)


def _paging(
    reading: Reading, parent: Any, edge_name: str, params: Params, page: paging.Page
) -> dict[str, Any]:
    found: dict[str, Any] = {"cursors": {"before": page.before, "after": page.after}}
    path = f"{reading.base_url}/{reading.version}/{_graph_id(parent)}/{edge_name}"
    # Meta puts the token into these URLs, so clients must not store or follow them.
    kept = {name: value for name, value in params.items() if name not in ("after", "before")}
    kept = {"access_token": reading.viewer.token.text, **kept, "limit": str(page.limit)}
    if page.has_next:
        found["next"] = f"{path}?{urlencode({**kept, 'after': page.after})}"
    if page.has_previous:
        found["previous"] = f"{path}?{urlencode({**kept, 'before': page.before})}"
    return found


def _graph_id(node: Any) -> str:
    return str(getattr(node, "graph_id", node.id))


# Nodes


def _render(
    reading: Reading,
    node_type: NodeType,
    node: Any,
    selections: Sequence[Selection] | None,
    edge: Edge | None = None,
    link: Any = None,
) -> dict[str, Any]:
    if selections is None:
        selections = _default_selections(node_type, edge)
    row: dict[str, Any] = {}
    for selection in selections:
        value = _value(reading, node_type, node, selection, edge, link)
        if value is not ABSENT:
            row[selection.name] = value
    if "id" in node_type.fields and "id" not in row:
        row["id"] = node_type.fields["id"](reading, node)  # Meta always adds it
    return row


def _default_selections(node_type: NodeType, edge: Edge | None) -> Sequence[Selection]:
    names = dict.fromkeys((*node_type.defaults, *(edge.defaults if edge else ())))
    return [Selection(name) for name in names]


def _value(
    reading: Reading,
    node_type: NodeType,
    node: Any,
    selection: Selection,
    edge: Edge | None,
    link: Any,
) -> Any:
    name = selection.name
    if edge is not None and name in edge.fields:
        value = edge.fields[name](reading, node, link)
    elif name in node_type.fields:
        value = node_type.fields[name](reading, node)
    elif name in node_type.edges:
        return _expand(reading, node_type, node, selection)
    else:
        return ABSENT
    if isinstance(value, Ref):
        return _render(
            reading, NODE_TYPES[value.node_type], value.node, selection.inside or _ID_AND_NAME
        )
    if selection.inside and isinstance(value, list):
        wanted = [inner.name for inner in selection.inside]
        return [{key: row[key] for key in wanted if key in row} for row in value]
    return value


_ID_AND_NAME = (Selection("id"), Selection("name"))


def _expand(reading: Reading, node_type: NodeType, node: Any, selection: Selection) -> Any:
    """Return the list of an edge inside `fields=`, with its own paging; ABSENT without rows."""
    params = dict(selection.arguments)
    if not reading.switches.business_argument_in_expansion:
        params.pop("business", None)
    if selection.inside is not None:
        params["fields"] = _format_selections(selection.inside)
    edge = node_type.edges[selection.name]
    try:
        found = _list(reading, node, selection.name, edge, params, selection.inside)
    except GraphError:
        if reading.switches.refused_expansion == "omit":
            return ABSENT
        raise
    empty = not found["data"] and "paging" not in found
    return ABSENT if empty and reading.switches.empty_expansion == "absent" else found


def _format_selections(selections: Sequence[Selection]) -> str:
    return ",".join(
        selection.name
        + "".join(f".{name}({value})" for name, value in selection.arguments.items())
        + ("" if selection.inside is None else "{" + _format_selections(selection.inside) + "}")
        for selection in selections
    )


# Checks before anything is read


def _selections(params: Params) -> Sequence[Selection] | None:
    text = params.get("fields", "").strip()
    return parse_fields(text) if text else None


def _validate(
    reading: Reading,
    node_type: NodeType,
    edge: Edge | None,
    selections: Sequence[Selection] | None,
) -> None:
    """Refuse an unknown field, even if the list has no rows, as Meta does."""
    for selection in selections or ():
        name = selection.name
        if not _exists(reading, node_type, edge, name):
            raise errors.unknown_field(name, node_type.name)
        if name in node_type.edges:
            inner = node_type.edges[name]
            _validate(reading, NODE_TYPES[inner.target], inner, selection.inside)
        elif name in node_type.refs:
            _validate(reading, NODE_TYPES[node_type.refs[name]], None, selection.inside)
        elif name in PERMISSION_ROWS:
            for inside in selection.inside or ():
                if inside.name not in PERMISSION_ROW_FIELDS:
                    raise errors.unknown_field(inside.name, "AdAccountPermission")


def _exists(reading: Reading, node_type: NodeType, edge: Edge | None, name: str) -> bool:
    if edge is not None and name in edge.fields:
        if name in PERMISSION_ROWS:
            return reading.switches.permissions_rows != "refused"
        if "access_type" in edge.fields and name in ("tasks", "permitted_tasks"):
            return reading.switches.tasks_on_assigned_catalogs
        return True
    return name in node_type.fields or name in node_type.edges or name in node_type.valueless


def _weight(selections: Sequence[Selection] | None) -> int:
    """Return the number of fields per row. A nested list counts its limit times."""
    weight = 0
    for selection in selections or _ID_AND_NAME:
        limit = selection.arguments.get("limit", "")
        many = int(limit) if limit.isdigit() else 1
        weight += 1 if selection.inside is None else many * _weight(selection.inside)
    return weight


def _check_data_budget(reading: Reading, weight: int, rows: int) -> None:
    """Raise error 1 if a read asks for too much data (`#paging`). A single row always passes."""
    switches = reading.switches
    if rows == 1:
        return
    over = switches.data_budget and weight * rows > switches.data_budget
    chance = switches.data_budget_chance
    unlucky = chance > 0 and seeded.share(reading.world.seed, "budget", reading.call) < chance
    if over or unlucky:
        raise errors.reduce_data()
