"""Common parts of benchmarks: contenders in turn, tables with their noise, and goals."""

import argparse
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

REPEAT = 5


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a run: repetitions and sizes."""

    repeat: int
    quick: bool

    def size(self, full: int, quick: int) -> int:
        """Return the size of the world: the full one, or with `--quick` a tiny one."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: one quantity, measured several times."""

    name: str
    values: Sequence[float]
    unit: str

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def cells(self) -> tuple[str, ...]:
        """Return name, median, minimum and maximum as text."""
        numbers = (self.median, min(self.values), max(self.values))
        return (self.name, *(f"{_round(number)} {self.unit}" for number in numbers))


@dataclass(frozen=True, slots=True)
class Goal:
    """A measured ratio or size, and its limit."""

    name: str
    value: float
    limit: float
    unit: str = "×"
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def cells(self) -> tuple[str, ...]:
        """Return name, value, goal and result as text."""
        goal = f"{'≥' if self.at_least else '≤'} {_round(self.limit)} {self.unit}"
        return (
            self.name,
            f"{_round(self.value)} {self.unit}",
            goal,
            "pass" if self.is_met else "MISS",
        )


@dataclass(frozen=True, slots=True)
class Report:
    """Result of one benchmark. The first goal is its main ratio."""

    title: str
    world: str
    rows: Sequence[Row]
    goals: Sequence[Goal]

    def text(self, *, markdown: bool) -> str:
        """Return the two tables as text, for a terminal or as Markdown."""
        draw = _markdown if markdown else _columns
        measured = draw(("", "median", "min", "max"), [row.cells() for row in self.rows])
        judged = draw(("", "measured", "goal", ""), [goal.cells() for goal in self.goals])
        ratio = self.goals[0]
        last = f"ratio: {ratio.name}: {_round(ratio.value)}"
        head = f"### {self.title}" if markdown else self.title
        return "\n\n".join((head, self.world, measured, judged, last))


def in_turn(repeat: int, contenders: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Run the contenders in turn, A B C A B C …, so that load on the machine affects all."""
    values: dict[str, list[float]] = {name: [] for name in contenders}
    for round_number in range(repeat):
        for name, run_contender in contenders.items():
            values[name].append(run_contender())
            report_progress(f"{round_number + 1}/{repeat} {name}: {_round(values[name][-1])}")
    return values


def report_progress(line: str) -> None:
    """Print a line to standard error."""
    print(line, file=sys.stderr, flush=True)


def run(description: str | None, measure: Callable[[Options], Report]) -> None:
    """Run a benchmark from the command line. A missed goal is an error only with `--strict`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="run once with tiny sizes, to see that it works"
    )
    parser.add_argument(
        "--repeat", type=int, help=f"number of repetitions; default {REPEAT}, with --quick 1"
    )
    parser.add_argument("--markdown", action="store_true", help="print tables as Markdown")
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a goal is missed")
    arguments = parser.parse_args()
    repeat = arguments.repeat or (1 if arguments.quick else REPEAT)
    report = measure(Options(repeat, arguments.quick))
    print(report.text(markdown=arguments.markdown))
    if arguments.strict and not all(goal.is_met for goal in report.goals):
        sys.exit(1)


def _round(number: float) -> str:
    """Format with three significant digits."""
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
