"""Which form of an answer the client prefers: the `Accept` header (RFC 9110, section 12.5.1)."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, Request, Response

from partner_connector.errors import NotAcceptable

JSON = "application/json"
CSV = "text/csv"
EVENT_STREAM = "text/event-stream"


def preferred(accept: str, offered: tuple[str, ...]) -> str | None:
    """The offered type that weighs most, None where each is refused. Pure.

    Of two that weigh the same, one that is named wins over one that only a `*` stands for, and then
    the one that is offered first.
    """
    if not accept.strip():
        return offered[0]
    ranges = list(_ranges(accept))
    weights = {kind: _weight(kind, ranges) for kind in offered}
    best = max(offered, key=lambda kind: weights[kind])
    return best if weights[best][0] > 0 else None


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    for part in accept.lower().split(","):
        media_range, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((text for text in parameters if text.startswith("q=")), "q=1")
        try:
            yield media_range, float(weight.removeprefix("q="))
        except ValueError:
            # Nothing that anybody can read: as if it had not been said.
            yield media_range, 1.0


def _weight(kind: str, ranges: list[tuple[str, float]]) -> tuple[float, int]:
    """By the most specific range that holds it, and how specific that is."""
    for precision, named in ((2, kind), (1, f"{kind.partition('/')[0]}/*"), (0, "*/*")):
        weights = [weight for media_range, weight in ranges if media_range == named]
        if weights:
            return max(weights), precision
    return 0.0, 0


class _Preference:
    """As a dependency. Raises `NotAcceptable`."""

    def __init__(self, *offered: str) -> None:
        self.offered = offered

    async def __call__(self, request: Request, response: Response) -> str:
        response.headers["Vary"] = "Accept"
        kind = preferred(",".join(request.headers.getlist("accept")), self.offered)
        if kind is None:
            raise NotAcceptable(f"This answer comes as {' or '.join(self.offered)}.")
        return kind


JsonOrCsv = Annotated[str, Depends(_Preference(JSON, CSV))]
JsonOrEventStream = Annotated[str, Depends(_Preference(JSON, EVENT_STREAM))]
