"""How a node type and its edges are declared, and the context in which they are read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from graph_simulator.graph.access import Viewer
from graph_simulator.model.registry import World
from graph_simulator.switches import Switches

ABSENT: Final = object()
"""A field that exists but has no value here: Meta leaves it out instead of sending null."""

Params = dict[str, str]


@dataclass(slots=True)
class Reading:
    """One Graph read: who asks, for which version, and where `paging.next` points."""

    world: World
    switches: Switches
    viewer: Viewer
    base_url: str
    version: str
    call: int
    """Number of this call, for repeatable chance."""


FieldGetter = Callable[[Reading, Any], Any]
LinkGetter = Callable[[Reading, Any, Any], Any]
ItemsGetter = Callable[[Reading, Any, Params], Sequence[Any]]
Link = Callable[[Reading, Any, Any, Params], Any]


@dataclass(frozen=True, slots=True)
class Ref:
    """A field whose value is another node: `{id,name}` unless more is asked for."""

    node_type: str
    node: Any


def _no_link(_reading: Reading, _parent: Any, _node: Any, _params: Params) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Edge:
    """A list hanging on a node.

    `items` decides access and gives the nodes; `link` tells, for one row, what stands between
    the parent and the node (tasks, a share, …); `fields` read that link.
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
    """Fields that are another node, and its type: what may be asked for inside them."""
    silent: frozenset[str] = frozenset()
    """Fields Meta has for this type and this world has no value for."""
    check: Callable[[Reading, Any], None] = lambda _reading, _node: None
    """Raises when the viewer may not read such a node by its id."""


def attribute(name: str) -> FieldGetter:
    """A field that is an attribute of the record; None is absent."""

    def read(_reading: Reading, node: Any) -> Any:
        value = getattr(node, name)
        return ABSENT if value is None else value

    return read


def constant(value: Any) -> FieldGetter:
    return lambda _reading, _node: value


def moment(name: str) -> FieldGetter:
    """A date in Meta's spelling: no colon in the offset (REFERENCE 2.1)."""
    return lambda _reading, node: spell_moment(getattr(node, name))


def spell_moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


def spelled(word: str, how: str) -> Any:
    """Open question 9: the same word as documented, in lower case, or not at all."""
    if how == "absent":
        return ABSENT
    return word.lower() if how == "lower" else word


def spelled_role(reading: Reading, role: str) -> str:
    return role.title() if reading.switches.role_spelling == "title" else role
