"""Verdict on a series, by its last quarter and its second one. Pure.

The first quarter is ignored: caches fill, and nothing is old enough to be deleted yet. Where the
machine did more work, proportionally more rows may not be old enough yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.soak.record import Sample

# These are kept forever: decisions and changes.
KEPT_FOREVER = ("rows in audit_events", "rows in changes")
# Retention of deleted rows in a soak.
RETENTION_MINUTES = 2.0
# The series that measures the pace.
WORK = "done: checks of a partner"
# Not resources of the product.
_NOT_JUDGED = ("minutes", "done: ")
# Allowed growth from the second quarter to the last: a fraction, and an absolute value.
_TOLERANCES = {
    "MB resident": (0.10, 8.0),
    "threads": (0.0, 3.0),
    "file handles": (0.0, 6.0),
    "rows in": (0.15, 20.0),
    "MB of the database": (0.15, 2.0),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Verdict on one series."""

    name: str
    second: float
    last: float
    allowed: float

    @property
    def is_flat(self) -> bool:
        """True within the allowed growth."""
        return self.last <= self.allowed

    def __str__(self) -> str:
        word = "flat" if self.is_flat else "GROWS"
        return (
            f"{word:5} {self.name}: {self.second:.5g} in the second quarter, "
            f"{self.last:.5g} in the last, up to {self.allowed:.5g} allowed"
        )


def judge(samples: Sequence[Sample]) -> list[Verdict]:
    """Return the verdict on every judged series, in the order of the samples."""
    quarter = len(samples) // 4
    second, last = samples[quarter : 2 * quarter], samples[-quarter:]
    recent = [_recent_work(samples, index) for index in range(len(samples))]
    before, now = median(recent[quarter : 2 * quarter]), median(recent[-quarter:])
    pace = max(1.0, now / before)
    return [
        _judged(name, median(one[name] for one in second), median(one[name] for one in last), pace)
        for name in samples[-1]
        if not name.startswith(_NOT_JUDGED) and name not in KEPT_FOREVER
    ]


def _recent_work(samples: Sequence[Sample], index: int) -> float:
    """Return the work done until that sample and within the retention before it."""
    now = samples[index]
    since = next(one for one in samples if one["minutes"] >= now["minutes"] - RETENTION_MINUTES)
    return now[WORK] - since[WORK]


def _judged(name: str, second: float, last: float, pace: float) -> Verdict:
    part, more = next(tolerance for kind, tolerance in _TOLERANCES.items() if name.startswith(kind))
    scale = pace if name.startswith("rows in") else 1.0
    return Verdict(name, second, last, second * scale * (1 + part) + more)
