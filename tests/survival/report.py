"""What a campaign tells in the end."""

import time
from collections import Counter
from dataclasses import dataclass, field
from statistics import quantiles

from tests.journey.meta import Json
from tests.survival.customer import Customer, unlike_undisturbed

# Told of every scenario, also where there were none; the others where there were any.
KINDS = (
    "job lost",
    "job twice",
    "job not complete",
    "row duplicate",
    "row missing or wrong",
    "change duplicate",
    "unlike an undisturbed run",
)
_MOST_TOLD = 20
_ENOUGH_FOR_PERCENTILES = 200
_MOST_CHARACTERS = 400


@dataclass(slots=True)
class Report:
    """One scenario on one database. Anything in `violations` is a promise that was broken."""

    scenario: str
    subject: Customer
    seed: int
    blows: int = 0
    checks: int = 0
    changes: int = 0
    """Changes made at Meta, for the checks to find."""
    judged: Counter[str] = field(default_factory=Counter)
    """How much was looked at, so that nobody takes nothing for no violation."""
    moments: Counter[str] = field(default_factory=Counter)
    """Runs that a blow hit, by the last step that they had behind them."""
    figures: dict[str, list[float]] = field(default_factory=dict)
    """Measured seconds, by what they are of."""
    notes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def judge(self, *jobs: Json, first_attempt_only: bool = True) -> None:
        """Look closely at what these jobs left; they have ended."""
        before = Counter(self.subject.judged)
        self.violations += self.subject.violations(*jobs, first_attempt_only=first_attempt_only)
        self.judged += self.subject.judged - before
        self.checks += 1

    def compare_with_undisturbed(self) -> None:
        """Hold the final state against that of a customer whom nothing happened to."""
        self.violations += self.subject.left_over()
        found = unlike_undisturbed(self.subject)
        self.violations += [f"unlike an undisturbed run: {one}" for one in found]

    def measured(self, what: str, seconds: float) -> None:
        """One more figure."""
        self.figures.setdefault(what, []).append(seconds)

    def ended(self) -> "Report":
        """With the time that it took."""
        self.seconds = time.monotonic() - self.began
        return self

    def __str__(self) -> str:
        head = (
            f"{self.scenario} on {self.subject.deployment.name}, seed {self.seed}: "
            f"{self.blows} blows in {self.checks} checks of {len(self.subject.partners)} partners, "
            f"{self.changes} changes at Meta, {self.seconds:.0f} s"
        )
        told = Counter(one.split(": ")[0] for one in self.violations)
        kinds = [*KINDS, *(kind for kind in told if kind not in KINDS)]
        lines = [
            head,
            _line("judged", self.judged),
            _line("runs hit after", self.moments),
            _line("noted", self.notes),
            *(_figure(what, seconds) for what, seconds in self.figures.items()),
            _line("violations", {kind: told[kind] for kind in kinds}),
            *(f"    {one[:_MOST_CHARACTERS]}" for one in self.violations[:_MOST_TOLD]),
        ]
        return "\n".join(line for line in lines if line)


def _line(name: str, counts: dict[str, int]) -> str:
    told = ", ".join(f"{what} {count}" for what, count in counts.items())
    return f"  {name}: {told}" if told else ""


def _figure(what: str, seconds: list[float]) -> str:
    if len(seconds) < _ENOUGH_FOR_PERCENTILES:
        median = sorted(seconds)[len(seconds) // 2]
        spread = f"median {median:.2f} s, {min(seconds):.2f} to {max(seconds):.2f} s"
    else:
        at = quantiles(seconds, n=100)
        spread = ", ".join(f"p{p} {at[p - 1] * 1000:.0f} ms" for p in (50, 95, 99))
        spread += f", most {max(seconds) * 1000:.0f} ms"
    return f"  {what}: {spread} ({len(seconds)} times)"
