"""Faults a test asks for: which calls they hit, how often, and what happens to those calls."""

from dataclasses import dataclass, field
from typing import Any

from graph_simulator.graph.errors import TRANSIENT_CODES, GraphError
from graph_simulator.model import dice

MATCH_KEYS = {
    "edge": "last part of the path, or node, me, app, debug_token, root; batch is the batch itself",
    "expands": "an edge that is read inside fields=",
    "path_prefix": "how the path begins, without version and slash",
    "token": "the token's text",
    "owner": "how the token's label begins: a business id, a slash, its kind; host/good is ours",
    "method": "GET, POST, DELETE, …",
    "business": "the parameter business",
}
FAULT_KEYS = {
    "error": "a Graph error: {code, subcode?, message?, type?, http_status?, is_transient?, …}",
    "ok_with_error_body": "the same with HTTP 200",
    "http": "this HTTP status, with a page of HTML",
    "body": "this text instead of the answer, with HTTP 200 or the status of http",
    "empty_body": "HTTP 200 and nothing",
    "service_unavailable_200": "HTTP 200 and the words Service Unavailable",
    "truncate_body": "the body ends after so many characters",
    "delay_seconds": "the answer comes so much later",
    "reset": "the connection is reset",
    "null_batch_item": "an operation of a batch is not carried out: its item is null",
    "usage": "headers to add or replace, by name; what is not text becomes JSON",
}


class FaultError(ValueError):
    """A rule that makes no sense."""


@dataclass(slots=True)
class Call:
    """What rules look at: one plain call, or one operation of a batch."""

    method: str
    path: str
    """Without the version and the leading slash."""
    edge: str
    token: str = field(repr=False)
    owner: str
    business: str
    fields: str
    in_batch: bool


@dataclass(slots=True)
class Rule:
    id: str
    match: dict[str, str]
    fault: dict[str, Any]
    after: int = 0
    times: int | None = None
    probability: float = 1.0
    seen: int = 0
    hits: int = 0

    def matches(self, call: Call) -> bool:
        if "null_batch_item" in self.fault and not call.in_batch:
            return False
        wanted = self.match
        return (
            # A batch as a whole is hit only by a rule that names it; other rules hit operations.
            wanted.get("edge", "" if call.edge == "batch" else call.edge) == call.edge
            and _expands(call.fields, wanted.get("expands", ""))
            and call.path.startswith(wanted.get("path_prefix", "").lstrip("/"))
            and wanted.get("token", call.token) == call.token
            and call.owner.startswith(wanted.get("owner", ""))
            and wanted.get("method", call.method).upper() == call.method
            and wanted.get("business", call.business) == call.business
        )

    def strikes(self, seed: int) -> bool:
        """Count this matching call, and say whether it is one of those to hit."""
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.hits >= self.times):
            return False
        if dice.share(seed, "fault", self.id, self.seen) >= self.probability:
            return False
        self.hits += 1
        return True

    def as_json(self) -> dict[str, Any]:
        shown = {key: ("…" if key == "token" else value) for key, value in self.match.items()}
        return {
            "id": self.id,
            "match": shown,
            "fault": self.fault,
            "after": self.after,
            "times": self.times,
            "probability": self.probability,
            "seen": self.seen,
            "hits": self.hits,
        }


def _expands(fields: str, edge: str) -> bool:
    """True when this edge is read inside `fields`, or when the rule does not care."""
    return not edge or f"{edge}." in fields or f"{edge}{{" in fields


@dataclass(slots=True)
class Faults:
    rules: dict[str, Rule] = field(default_factory=dict)
    issued: int = 0

    def add(self, wanted: dict[str, Any]) -> Rule:
        self.issued += 1
        rule = _rule(f"fault-{self.issued}", wanted)
        self.rules[rule.id] = rule
        return rule

    def strike(self, call: Call, seed: int) -> dict[str, Any]:
        """Everything that happens to this call; the first rule that says a thing wins."""
        combined: dict[str, Any] = {}
        for rule in self.rules.values():
            if rule.matches(call) and rule.strikes(seed):
                combined = {**rule.fault, **combined}
        return combined


def _rule(rule_id: str, wanted: dict[str, Any]) -> Rule:
    match, fault = wanted.get("match", {}), wanted.get("fault", {})
    if not isinstance(match, dict) or not set(match) <= set(MATCH_KEYS):
        raise FaultError(f"match takes {', '.join(MATCH_KEYS)}")
    if not isinstance(fault, dict) or not fault or not set(fault) <= set(FAULT_KEYS):
        raise FaultError(f"fault takes at least one of {', '.join(FAULT_KEYS)}")
    unknown = set(wanted) - {"match", "fault", "after", "times", "probability"}
    if unknown:
        raise FaultError(f"a rule has no {', '.join(sorted(unknown))}")
    _check_values(fault)
    times = wanted.get("times")
    return Rule(
        id=rule_id,
        match={key: str(value) for key, value in match.items()},
        fault=fault,
        after=int(wanted.get("after", 0)),
        times=None if times is None else int(times),
        probability=float(wanted.get("probability", 1.0)),
    )


def _check_values(fault: dict[str, Any]) -> None:
    """Found when the rule is made, not when the first call trips over it."""
    if "http" in fault and type(fault["http"]) is not int:
        raise FaultError("http is a status, as a number")
    if not isinstance(fault.get("body", ""), str):
        raise FaultError("body is text")
    cut = fault.get("truncate_body", 0)
    if type(cut) is not int or cut < 0:
        raise FaultError("truncate_body is a number of characters, 0 or more")
    if "delay_seconds" in fault and not isinstance(fault["delay_seconds"], int | float):
        raise FaultError("delay_seconds is a number")
    if "error" in fault and not isinstance(fault["error"], dict):
        raise FaultError("error is an object: code, subcode, message, http_status, …")
    if not isinstance(fault.get("usage", {}), dict):
        raise FaultError("usage is an object of headers")


def error_of(description: Any) -> GraphError:
    """The Graph error a rule describes: code, and optionally everything else of the envelope."""
    wanted = dict(description) if isinstance(description, dict) else {}
    code = int(wanted.pop("code", 2))
    subcode = wanted.pop("subcode", wanted.pop("error_subcode", None))
    status = int(wanted.pop("http_status", 0))
    transient = wanted.pop("is_transient", True if code in TRANSIENT_CODES else None)
    return GraphError(
        code=code,
        message=str(wanted.pop("message", f"(#{code}) A fault was asked for")),
        subcode=None if subcode is None else int(subcode),
        status=status or 400,
        status_is_fixed=bool(status),
        type=str(wanted.pop("type", "OAuthException")),
        is_transient=transient,
        more=wanted,
    )
