"""Log events in the source: each has one name and one meaning, and is documented."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
SOURCE = CHECKOUT / "src" / "partner_connector"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
LOGGERS = {"log", "logger"}


@dataclass(frozen=True, slots=True)
class Logged:
    """Call of a logger."""

    place: str
    level: str
    event: str | None
    fields: tuple[str, ...]


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Yield the path and the syntax tree of every module of the product."""
    for path in sorted(SOURCE.rglob("*.py")):
        yield str(path.relative_to(SOURCE)), ast.parse(path.read_text(encoding="utf-8"))


def logged() -> list[Logged]:
    """Return every call of a logger in the source."""
    return [
        Logged(f"{name}:{node.lineno}", node.func.attr, _event(node), _fields(node))
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LEVELS
        and ast.unparse(node.func.value) in LOGGERS
    ]


def _event(call: ast.Call) -> str | None:
    """Return the event name if it is a literal without arguments."""
    first = call.args[0] if len(call.args) == 1 else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def _fields(call: ast.Call) -> tuple[str, ...]:
    named = {each.arg: each.value for each in call.keywords if each.arg is not None}
    extra = named.pop("extra", None)
    if isinstance(extra, ast.Dict):
        return tuple(ast.literal_eval(key) for key in extra.keys if key is not None)
    return tuple(named)


def test_every_event_name_is_literal() -> None:
    """Check that names are in snake_case and have no values, which belong in fields."""
    calls = logged()
    assert len(calls) > 40
    name = re.compile(r"[a-z]+(_[a-z]+)*")
    assert [call for call in calls if call.event is None or not name.fullmatch(call.event)] == []


def test_event_name_is_used_once() -> None:
    counted = Counter(call.event for call in logged())
    assert [event for event, number in counted.items() if number > 1] == []


def test_all_log_calls_are_found_by_these_tests() -> None:
    """Check that loggers are named `log` or `logger`, and the root logger is not used."""
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and re.search(
                r"\b(get_logger|getLogger)\(", ast.unparse(node.value)
            ):
                (target,) = node.targets
                is_ours = ast.unparse(target) in LOGGERS
                assert is_ours or name == "telemetry/logging.py", f"{name}:{node.lineno}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {
                f"logging.{level}" for level in LEVELS
            }:
                raise AssertionError(f"{name}:{node.lineno}")


def test_page_lists_every_event() -> None:
    """Compare events, levels and fields with the page, because operators' alerts use them."""
    page = (CHECKOUT / "docs" / "reference" / "metrics-and-logs.md").read_text(encoding="utf-8")
    events = page.split("## Events")[1].split("## Traces")[0]
    rows = re.findall(
        r"^\| `([a-z_]+)` \| ([a-z]+) \| (.*?) ?\| .+ \|$", events, flags=re.MULTILINE
    )
    listed = {
        event: (level, tuple(re.findall(r"`(\w+)`", fields))) for event, level, fields in rows
    }
    assert len(listed) == len(rows)
    assert listed == {call.event: (call.level, call.fields) for call in logged()}
