"""Counters of calls, and the latest requests. Tokens are never stored."""

from collections import Counter, deque
from dataclasses import dataclass, field

from graph_simulator.published import safe_name

MAX_RECENT_REQUESTS = 500
MAX_COMPLAINTS = 100


@dataclass(slots=True)
class OutsidePublished:
    """Complaints about what Meta does not publish: each once, with a count."""

    counts: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def add(self, method: str, edge: str, complaint: str) -> None:
        key = (safe_name(method), safe_name(edge), complaint)
        if key in self.counts or len(self.counts) < MAX_COMPLAINTS:
            self.counts[key] = self.counts.get(key, 0) + 1

    def as_json(self) -> list[dict[str, object]]:
        return [
            {"method": method, "edge": edge, "complaint": complaint, "count": count}
            for (method, edge, complaint), count in self.counts.items()
        ]


@dataclass(slots=True)
class CallLog:
    """Counters of HTTP requests, and of calls as Meta counts them: each batch operation is one."""

    http_requests: int = 0
    counted_calls: int = 0
    batches: int = 0
    writes_refused: int = 0
    by_edge: Counter[str] = field(default_factory=Counter)
    by_token_owner: Counter[str] = field(default_factory=Counter)
    by_method: Counter[str] = field(default_factory=Counter)
    by_status: Counter[str] = field(default_factory=Counter)
    by_error: Counter[str] = field(default_factory=Counter)
    outside_published: OutsidePublished = field(default_factory=OutsidePublished)
    recent: deque[dict[str, object]] = field(
        default_factory=lambda: deque[dict[str, object]](maxlen=MAX_RECENT_REQUESTS)
    )

    def as_json(self) -> dict[str, object]:
        return {
            "http_requests": self.http_requests,
            "counted_calls": self.counted_calls,
            "batches": self.batches,
            "writes_refused": self.writes_refused,
            "by_edge": dict(self.by_edge),
            "by_token_owner": dict(self.by_token_owner),
            "by_method": dict(self.by_method),
            "by_status": dict(self.by_status),
            "by_error": dict(self.by_error),
            "outside_published": self.outside_published.as_json(),
            "recent": list(self.recent),
        }
