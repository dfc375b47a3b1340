"""Declarations of node types and edges, and the context of a read.

A mark such as `#business` is a heading of `docs/reference/graph-facts.md`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from graph_simulator.graph.access import Viewer
from graph_simulator.model.registry import World
from graph_simulator.switches import Switches

ABSENT: Final = object()
"""Value of a field without a value: Meta omits the field instead of sending null."""

Params = dict[str, str]


@dataclass(slots=True)
class Reading:
    """Context of one Graph read: the caller, the version, and the base URL of `paging.next`."""

    world: World
    switches: Switches
    viewer: Viewer
    base_url: str
    version: str
    call: int
    """Number of this call, the input of repeatable random choices."""


FieldGetter = Callable[[Reading, Any], Any]
LinkGetter = Callable[[Reading, Any, Any], Any]
ItemsGetter = Callable[[Reading, Any, Params], Sequence[Any]]
Link = Callable[[Reading, Any, Any, Params], Any]


@dataclass(frozen=True, slots=True)
class Ref:
    """Value of a field that is another node: rendered as `{id,name}` unless fields are selected."""

    node_type: str
    node: Any


def _no_link(_reading: Reading, _parent: Any, _node: Any, _params: Params) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Edge:
    """A list of nodes that belongs to a parent node.

    `items` checks access and returns the nodes. `link` returns what connects the parent with the
    node of one row (tasks, a share, …). `fields` are the row's fields that read this link.
    """

    target: str
    items: ItemsGetter
    link: Link = _no_link
    fields: Mapping[str, LinkGetter] = field(default_factory=dict)
    defaults: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    summary: bool = False


@dataclass(frozen=True, slots=True)
class NodeType:
    name: str
    fields: Mapping[str, FieldGetter]
    defaults: tuple[str, ...] = ("id", "name")
    edges: Mapping[str, Edge] = field(default_factory=dict)
    refs: Mapping[str, str] = field(default_factory=dict)
    """Fields whose value is another node, with its type: its fields may be selected inside."""
    valueless: frozenset[str] = frozenset()
    """Fields that Meta has for this type and that have no value in this world."""
    check: Callable[[Reading, Any], None] = lambda _reading, _node: None
    """Raises `GraphError` if the viewer may not read the node by its id."""


def attribute(name: str) -> FieldGetter:
    """Make a field that reads an attribute of the record. None becomes ABSENT."""

    def read(_reading: Reading, node: Any) -> Any:
        value = getattr(node, name)
        return ABSENT if value is None else value

    return read


def constant(value: Any) -> FieldGetter:
    return lambda _reading, _node: value


def time_field(name: str) -> FieldGetter:
    """Make a time field in Meta's format: no colon in the offset (`#business`)."""
    return lambda _reading, node: format_time(getattr(node, name))


def format_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def format_word(word: str, how: str) -> Any:
    """Return the word as documented, in lower case, or ABSENT (`#open-spelling`)."""
    if how == "absent":
        return ABSENT
    return word.lower() if how == "lower" else word


def format_role(reading: Reading, role: str) -> str:
    return role.title() if reading.switches.role_spelling == "title" else role
