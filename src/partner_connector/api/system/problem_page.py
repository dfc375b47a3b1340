"""Pages about all problems: `docs/reference/problems.md`, and the page that `type` links to."""

import inspect
from html import escape

from partner_connector.errors import Problem, catalogue

_INTRODUCTION = """\
When a request fails, the response is an `application/problem+json` document (RFC 9457). Let your
program decide by its `code`, which never changes. New codes may be added: handle a code that you do
not know by the HTTP status. `title` and `detail` are for people. `type` is `/v1/problems#CODE`: a
browser shows this page there, a program gets the same list as JSON. If the problem has
`retry_after`, as 429 and 503 have, send the same request again after so many seconds. After 500 you
can also repeat it. After any other failure change the request first. Include `request_id` when you
report a failure: it finds the failure in the logs.
"""
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin: 2rem 0 0; font-family: ui-monospace, monospace; }
:target { background: #fff3c4; }
"""


def when(kind: type[Problem]) -> str:
    """Return the sentence that says when the problem happens: the docstring of its class."""
    return " ".join((inspect.getdoc(kind) or "").split())


def markdown() -> str:
    """Return the page of the documentation as Markdown."""
    parts = [
        f"## {kind.code}\n\n**{kind.status} · {kind.title}.** {when(kind)}\n\n"
        f"*What to do:* {kind.description}\n"
        for kind in catalogue()
    ]
    return "\n".join(["# Problems\n", _INTRODUCTION, *parts])


def html() -> str:
    """Return the page that `/v1/problems` serves to a browser. Each code is an anchor."""
    parts = [
        f'<section id="{kind.code}"><h2>{kind.code}</h2>'
        f"<p><strong>{kind.status} · {escape(kind.title)}.</strong> {_html_line(when(kind))}</p>"
        f"<p>What to do: {_html_line(kind.description)}</p></section>"
        for kind in catalogue()
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Problems</title>'
        f"<style>{_STYLE}</style></head><body><h1>Problems</h1>"
        f"<p>{_html_line(_INTRODUCTION)}</p>{''.join(parts)}</body></html>"
    )


def _html_line(text: str) -> str:
    """Return the text as HTML, with each part in backticks as a `code` element."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if at % 2 else piece for at, piece in enumerate(pieces))
