"""Taking an operation out of use: told in the document, in every answer and in the log.

    OLD_WAY = Deprecation(
        since=datetime(2027, 3, 1, tzinfo=UTC),
        sunset=datetime(2027, 9, 30, tzinfo=UTC),
        successor="/v1/new-way",
    )

    @router.get("/old-way", operation_id="getOldWay", **OLD_WAY.of_route())

RFC 9745 tells since when it is deprecated, RFC 8594 when it ends, RFC 8288 what takes its place.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

from fastapi import Depends, Request

SHORTEST_NOTICE = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Deprecation:
    """When an operation was deprecated, when it ends, and what takes its place."""

    since: datetime
    sunset: datetime
    successor: str
    explained: str = "/docs"
    """The page that says how to move on."""

    def __post_init__(self) -> None:
        if self.sunset < self.since + SHORTEST_NOTICE:
            raise ValueError(f"callers have {SHORTEST_NOTICE.days} days to move on")

    @property
    def headers(self) -> dict[str, str]:
        """What every answer of the operation carries, its failures too."""
        return {
            "Deprecation": f"@{int(self.since.timestamp())}",
            "Sunset": format_datetime(self.sunset, usegmt=True),
            "Link": f'<{self.explained}>; rel="deprecation"; type="text/html", '
            f'<{self.successor}>; rel="successor-version"',
        }

    def of_route(self) -> dict[str, Any]:
        """The options of the route: without these dates nothing is marked as deprecated."""

        async def tell(request: Request) -> None:
            # The middleware adds them to whatever the answer is, and notes the call in the log.
            request.state.deprecation = self.headers

        return {
            "deprecated": True,
            # A route's own dependencies come first: before the key is looked at.
            "dependencies": [Depends(tell)],
            "openapi_extra": {"x-sunset": self.sunset.date().isoformat()},
        }
