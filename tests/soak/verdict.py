"""Whether a series is flat: its last quarter beside its second one. Pure.

The first quarter is not looked at: caches fill, and nothing is old enough to be deleted yet. Where
the machine got more done, so much more rows may be there as are not old enough yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.soak.record import Sample

# These are kept for ever: who decided what, and what changed.
KEPT_FOR_EVER = ("rows in audit_events", "rows in changes")
# For how long what is deleted is kept here.
RETENTION_MINUTES = 2.0
# What the pace is told by.
WORK = "done: checks of a partner"
# They are not the product's own, or hold those that are kept.
_NOT_JUDGED = ("minutes", "done: ")
# By how much the last quarter may be above the second one: a part of it, and so much more.
_TOLERANCES = {
    "MB resident": (0.10, 8.0),
    "threads": (0.0, 3.0),
    "file handles": (0.0, 6.0),
    "rows in": (0.15, 20.0),
    "MB of the database": (0.15, 2.0),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One series."""

    name: str
    second: float
    last: float
    allowed: float

    @property
    def is_flat(self) -> bool:
        """Within what is allowed."""
        return self.last <= self.allowed

    def __str__(self) -> str:
        word = "flat" if self.is_flat else "GROWS"
        return (
            f"{word:5} {self.name}: {self.second:.5g} in the second quarter, "
            f"{self.last:.5g} in the last, up to {self.allowed:.5g} allowed"
        )


def judge(samples: Sequence[Sample]) -> list[Verdict]:
    """Every series that is judged, in the order of the samples."""
    quarter = len(samples) // 4
    second, last = samples[quarter : 2 * quarter], samples[-quarter:]
    recent = [_recent_work(samples, index) for index in range(len(samples))]
    before, now = median(recent[quarter : 2 * quarter]), median(recent[-quarter:])
    pace = max(1.0, now / before)
    return [
        _judged(name, median(one[name] for one in second), median(one[name] for one in last), pace)
        for name in samples[-1]
        if not name.startswith(_NOT_JUDGED) and name not in KEPT_FOR_EVER
    ]


def _recent_work(samples: Sequence[Sample], index: int) -> float:
    """What was done by that sample, and not long enough before it to be deleted."""
    now = samples[index]
    since = next(one for one in samples if one["minutes"] >= now["minutes"] - RETENTION_MINUTES)
    return now[WORK] - since[WORK]


def _judged(name: str, second: float, last: float, pace: float) -> Verdict:
    part, more = next(tolerance for kind, tolerance in _TOLERANCES.items() if name.startswith(kind))
    scale = pace if name.startswith("rows in") else 1.0
    return Verdict(name, second, last, second * scale * (1 + part) + more)
