"""The catalogue for people: `docs/problems.md`, and the page that a problem's `type` leads to."""

import inspect
from html import escape

from partner_connector.errors import Problem, catalogue

_INTRODUCTION = """\
Every failure is an `application/problem+json` (RFC 9457) whose `code` is stable: act on that one.
`type` is `/v1/problems#CODE`: a browser sees this page there, a program the same as JSON. New codes
may be added; the status tells how to take one that you do not know. `request_id` finds the failure
in the logs. Worth another try without a change are only 429 and 503, after `retry_after` seconds.
"""
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin: 2rem 0 0; font-family: ui-monospace, monospace; }
:target { background: #fff3c4; }
"""


def when(kind: type[Problem]) -> str:
    """When it happens, as its class says."""
    return " ".join((inspect.getdoc(kind) or "").split())


def markdown() -> str:
    """The page of the documentation."""
    parts = [
        f"## {kind.code}\n\n**{kind.status} · {kind.title}.** {when(kind)}\n\n"
        f"*What to do:* {kind.description}\n"
        for kind in catalogue()
    ]
    return "\n".join(["# Problems\n", _INTRODUCTION, *parts])


def html() -> str:
    """The page that is served. Each code is an anchor."""
    parts = [
        f'<section id="{kind.code}"><h2>{kind.code}</h2>'
        f"<p><strong>{kind.status} · {escape(kind.title)}.</strong> {_line(when(kind))}</p>"
        f"<p>What to do: {_line(kind.description)}</p></section>"
        for kind in catalogue()
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Problems</title>'
        f"<style>{_STYLE}</style></head><body><h1>Problems</h1>"
        f"<p>{_line(_INTRODUCTION)}</p>{''.join(parts)}</body></html>"
    )


def _line(text: str) -> str:
    """Marks of code become elements."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if at % 2 else piece for at, piece in enumerate(pieces))
