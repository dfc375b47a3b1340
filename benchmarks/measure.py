"""What all benchmarks have in common: contenders in turn, a table with its noise, and goals."""

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

REPEAT = 5


@dataclass(frozen=True, slots=True)
class Options:
    """How much is measured."""

    repeat: int
    quick: bool

    def size(self, full: int, quick: int) -> int:
        """A size of the world: the one that the goals are about, or one that is soon done."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: the same thing measured several times."""

    name: str
    values: Sequence[float]
    unit: str

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def cells(self) -> tuple[str, ...]:
        """Name, median, least and most."""
        numbers = (self.median, min(self.values), max(self.values))
        return (self.name, *(f"{_round(number)} {self.unit}" for number in numbers))


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio or a size, and what it should be."""

    name: str
    value: float
    limit: float
    unit: str = "×"
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def cells(self) -> tuple[str, ...]:
        """Name, value, goal and verdict."""
        goal = f"{'≥' if self.at_least else '≤'} {_round(self.limit)} {self.unit}"
        return (
            self.name,
            f"{_round(self.value)} {self.unit}",
            goal,
            "pass" if self.is_met else "MISS",
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What one benchmark found. The first goal is its one ratio."""

    title: str
    world: str
    rows: Sequence[Row]
    goals: Sequence[Goal]

    def text(self, *, markdown: bool) -> str:
        """The two tables, for a terminal or for a page."""
        draw = _markdown if markdown else _columns
        measured = draw(("", "median", "min", "max"), [row.cells() for row in self.rows])
        judged = draw(("", "measured", "goal", ""), [goal.cells() for goal in self.goals])
        ratio = self.goals[0]
        last = f"ratio: {ratio.name}: {_round(ratio.value)}"
        head = f"### {self.title}" if markdown else self.title
        return "\n\n".join((head, self.world, measured, judged, last))


def in_turn(repeat: int, contenders: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Each contender so many times, A B C A B C …: what slows the machine down hits all of them."""
    values: dict[str, list[float]] = {name: [] for name in contenders}
    for lap in range(repeat):
        for name, contend in contenders.items():
            values[name].append(contend())
            tell(f"{lap + 1}/{repeat} {name}: {_round(values[name][-1])}")
    return values


def tell(line: str) -> None:
    """Progress, beside the table."""
    print(line, file=sys.stderr, flush=True)


def run(about: str | None, measure: Callable[[Options], Report]) -> None:
    """The command line of a benchmark. A missed goal is an error only where `--strict` asks so."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes, once: does it run?")
    parser.add_argument("--repeat", type=int, help=f"how often; {REPEAT} unless --quick")
    parser.add_argument("--markdown", action="store_true", help="tables for a page")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a goal is missed")
    given = parser.parse_args()
    repeat = given.repeat or (1 if given.quick else REPEAT)
    report = measure(Options(repeat, given.quick))
    print(report.text(markdown=given.markdown))
    if given.strict and not all(goal.is_met for goal in report.goals):
        sys.exit(1)


def _round(number: float) -> str:
    """Three figures that count."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.3g}"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = (head, ["---"] + ["---:"] * (len(head) - 1), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, cells)) for cells in zip(*chain([head], rows), strict=True)]
    lines = (
        [cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in enumerate(pairs)]
        for pairs in (zip(row, widths, strict=True) for row in chain([head], rows))
    )
    return "\n".join("  ".join(line).rstrip() for line in lines)
