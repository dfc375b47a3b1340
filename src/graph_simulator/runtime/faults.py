"""Fault rules: the calls they match, how often they apply, and what they do to a call."""

from dataclasses import dataclass, field
from typing import Any

from graph_simulator.graph.errors import TRANSIENT_CODES, GraphError
from graph_simulator.model import seeded

MATCH_KEYS = {
    "edge": "last part of the path, or node, me, app, debug_token, root; batch is the whole batch",
    "expands": "an edge that is read inside fields=",
    "path_prefix": "start of the path, without version and slash",
    "token": "the token's text",
    "owner": "start of the token's label: a business id, a slash, its kind; host/good is our own",
    "method": "GET, POST, DELETE, …",
    "business": "the parameter business",
}
FAULT_KEYS = {
    "error": "a Graph error: {code, subcode?, message?, type?, http_status?, is_transient?, …}",
    "ok_with_error_body": "a Graph error as in error, with HTTP 200",
    "http": "this HTTP status, with an HTML page",
    "body": "this text instead of the answer, with HTTP 200 or the status of http",
    "empty_body": "HTTP 200 with an empty body",
    "service_unavailable_200": "HTTP 200 with the text Service Unavailable",
    "truncate_body": "the body ends after this number of characters",
    "delay_seconds": "the answer is delayed by this number of seconds",
    "reset": "the connection is reset",
    "null_batch_item": "an operation of a batch is not carried out: its item is null",
    "usage": "headers to add or replace, by name; values that are not text become JSON",
}


class FaultError(ValueError):
    """The rule is not valid."""


@dataclass(slots=True)
class Call:
    """Properties that rules match, of a single call or of one operation of a batch."""

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
            # Only a rule that names the batch matches it; other rules match its operations.
            wanted.get("edge", "" if call.edge == "batch" else call.edge) == call.edge
            and _expands(call.fields, wanted.get("expands", ""))
            and call.path.startswith(wanted.get("path_prefix", "").lstrip("/"))
            and wanted.get("token", call.token) == call.token
            and call.owner.startswith(wanted.get("owner", ""))
            and wanted.get("method", call.method).upper() == call.method
            and wanted.get("business", call.business) == call.business
        )

    def applies_now(self, seed: int) -> bool:
        """Count a matching call, and return whether the rule applies to it."""
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.hits >= self.times):
            return False
        if seeded.share(seed, "fault", self.id, self.seen) >= self.probability:
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
    """Return whether this edge is read inside `fields`. True for an empty edge."""
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

    def combined_fault(self, call: Call, seed: int) -> dict[str, Any]:
        """Combine the faults of all rules that apply to a call. The first rule wins per key."""
        combined: dict[str, Any] = {}
        for rule in self.rules.values():
            if rule.matches(call) and rule.applies_now(seed):
                combined = {**rule.fault, **combined}
        return combined


def _rule(rule_id: str, wanted: dict[str, Any]) -> Rule:
    match, fault = wanted.get("match", {}), wanted.get("fault", {})
    if not isinstance(match, dict) or not set(match) <= set(MATCH_KEYS):
        raise FaultError(f"match can only have {', '.join(MATCH_KEYS)}")
    if not isinstance(fault, dict) or not fault or not set(fault) <= set(FAULT_KEYS):
        raise FaultError(f"fault must have one or more of {', '.join(FAULT_KEYS)}")
    unknown = set(wanted) - {"match", "fault", "after", "times", "probability"}
    if unknown:
        raise FaultError(f"unknown keys of the rule: {', '.join(sorted(unknown))}")
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
    """Raise `FaultError` for a bad value now, not at the first call."""
    if "http" in fault and type(fault["http"]) is not int:
        raise FaultError("http must be a status, as a number")
    if not isinstance(fault.get("body", ""), str):
        raise FaultError("body must be text")
    length = fault.get("truncate_body", 0)
    if type(length) is not int or length < 0:
        raise FaultError("truncate_body must be a number of characters, 0 or more")
    if "delay_seconds" in fault and not isinstance(fault["delay_seconds"], int | float):
        raise FaultError("delay_seconds must be a number")
    if "error" in fault and not isinstance(fault["error"], dict):
        raise FaultError("error must be an object: code, subcode, message, http_status, …")
    if not isinstance(fault.get("usage", {}), dict):
        raise FaultError("usage must be an object of headers")


def error_of(description: Any) -> GraphError:
    """Make the Graph error that a rule describes. Without a code it is code 2."""
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
