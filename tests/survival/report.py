"""Report of a campaign."""

import time
from collections import Counter
from dataclasses import dataclass, field
from statistics import quantiles

from tests.journey.meta import Json
from tests.survival.customer import Customer, unlike_undisturbed

# Listed for every scenario, also with a count of 0; other kinds only where there were any.
KINDS = (
    "job lost",
    "job twice",
    "job not complete",
    "row duplicate",
    "row missing or wrong",
    "change duplicate",
    "unlike an undisturbed run",
)
_MOST_LISTED = 20
_ENOUGH_FOR_PERCENTILES = 200
_MOST_CHARACTERS = 400


@dataclass(slots=True)
class Report:
    """Result of one scenario on one database. `violations` are the promises that were broken."""

    scenario: str
    subject: Customer
    seed: int
    blows: int = 0
    checks: int = 0
    changes: int = 0
    """Changes made at Meta, for the checks to find."""
    judged: Counter[str] = field(default_factory=Counter)
    """Number of objects compared: without any, no violation means nothing."""
    moments: Counter[str] = field(default_factory=Counter)
    """Interrupted runs by their last completed step."""
    figures: dict[str, list[float]] = field(default_factory=dict)
    """Measured seconds by name."""
    notes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def judge(self, *jobs: Json, first_attempt_only: bool = True) -> None:
        """Compare the results of these ended jobs with Meta."""
        before = Counter(self.subject.judged)
        self.violations += self.subject.violations(*jobs, first_attempt_only=first_attempt_only)
        self.judged += self.subject.judged - before
        self.checks += 1

    def compare_with_undisturbed(self) -> None:
        """Compare the final state with that of an undisturbed customer."""
        self.violations += self.subject.left_over()
        found = unlike_undisturbed(self.subject)
        self.violations += [f"unlike an undisturbed run: {one}" for one in found]

    def measured(self, what: str, seconds: float) -> None:
        """Add a measured duration."""
        self.figures.setdefault(what, []).append(seconds)

    def ended(self) -> "Report":
        """Record the duration of the scenario, and return the report."""
        self.seconds = time.monotonic() - self.began
        return self

    def __str__(self) -> str:
        head = (
            f"{self.scenario} on {self.subject.deployment.name}, seed {self.seed}: "
            f"{self.blows} blows in {self.checks} checks of {len(self.subject.partners)} partners, "
            f"{self.changes} changes at Meta, {self.seconds:.0f} s"
        )
        counted = Counter(one.split(": ")[0] for one in self.violations)
        kinds = [*KINDS, *(kind for kind in counted if kind not in KINDS)]
        lines = [
            head,
            _line("judged", self.judged),
            _line("runs hit after", self.moments),
            _line("noted", self.notes),
            *(_figure(what, seconds) for what, seconds in self.figures.items()),
            _line("violations", {kind: counted[kind] for kind in kinds}),
            *(f"    {one[:_MOST_CHARACTERS]}" for one in self.violations[:_MOST_LISTED]),
        ]
        return "\n".join(line for line in lines if line)


def _line(name: str, counts: dict[str, int]) -> str:
    counted = ", ".join(f"{what} {count}" for what, count in counts.items())
    return f"  {name}: {counted}" if counted else ""


def _figure(what: str, seconds: list[float]) -> str:
    if len(seconds) < _ENOUGH_FOR_PERCENTILES:
        median = sorted(seconds)[len(seconds) // 2]
        spread = f"median {median:.2f} s, {min(seconds):.2f} to {max(seconds):.2f} s"
    else:
        at = quantiles(seconds, n=100)
        spread = ", ".join(f"p{p} {at[p - 1] * 1000:.0f} ms" for p in (50, 95, 99))
        spread += f", most {max(seconds) * 1000:.0f} ms"
    return f"  {what}: {spread} ({len(seconds)} times)"
