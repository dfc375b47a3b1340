"""Content negotiation by the `Accept` header (RFC 9110, section 12.5.1)."""

import re
from typing import Annotated

from fastapi import Depends, Request, Response

from partner_connector.errors import NotAcceptable

JSON = "application/json"
CSV = "text/csv"
EVENT_STREAM = "text/event-stream"
_WEIGHT = re.compile(r";\s*q=([01]?\.?[0-9]+)")


def preferred(accept: str, offered: tuple[str, ...]) -> str | None:
    """Return the offered media type with the highest weight, or None if all are refused.

    The weight of a type comes from the most specific range that matches it. At equal weight, a type
    that is named wins over one that only a `*` matches; after that the type that is offered first.
    """
    if not accept.strip():
        return offered[0]
    weights = dict.fromkeys(offered, (0.0, 0))
    for part in sorted(accept.lower().split(","), key=lambda each: -each.count("*")):
        media_range = part.partition(";")[0].strip()
        weight = float(found[1]) if (found := _WEIGHT.search(part)) else 1.0
        for kind in offered:
            if media_range in {kind, f"{kind.partition('/')[0]}/*", "*/*"}:
                weights[kind] = (weight, -media_range.count("*"))
    best = max(offered, key=lambda kind: weights[kind])
    return best if weights[best][0] > 0 else None


class _Preference:
    """FastAPI dependency that returns the preferred media type. Raises `NotAcceptable`."""

    def __init__(self, *offered: str) -> None:
        self.offered = offered

    async def __call__(self, request: Request, response: Response) -> str:
        response.headers["Vary"] = "Accept"
        kind = preferred(",".join(request.headers.getlist("accept")), self.offered)
        if kind is None:
            raise NotAcceptable(f"Send `Accept` with {' or '.join(self.offered)}, or leave it out.")
        return kind


JsonOrCsv = Annotated[str, Depends(_Preference(JSON, CSV))]
JsonOrEventStream = Annotated[str, Depends(_Preference(JSON, EVENT_STREAM))]
