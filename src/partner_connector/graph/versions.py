"""Which versions of the API there are, until when, and what to say about the one we ask for.

Source: REFERENCE 1 [D] gapi/changelog, as of 2026-11. A version is served for two years after the
next one was released; after that, calls are answered by the oldest one that still is, without an
error [D] gapi/guides/versioning.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

# Version -> released, and until when it is served; None while the next one is not released.
KNOWN_VERSIONS: dict[str, tuple[date, date | None]] = {
    "v26.0": (date(2026, 7, 29), None),
    "v25.0": (date(2026, 2, 18), date(2028, 7, 29)),
    "v24.0": (date(2025, 10, 8), date(2028, 2, 18)),
    "v23.0": (date(2025, 5, 29), date(2027, 10, 8)),
    "v22.0": (date(2025, 1, 21), date(2027, 5, 20)),
    "v21.0": (date(2024, 10, 2), date(2027, 1, 21)),
    "v20.0": (date(2024, 5, 21), date(2026, 9, 24)),
}
_WARN_BEFORE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class VersionWarning:
    """What an operator should know about the version in use."""

    code: Literal["graph_version_mismatch", "graph_version_sunset"]
    detail: str
    remedy: str


def sunset(version: str) -> date | None:
    """The day on which Meta stops to serve it; None where Meta has not said, or we do not know."""
    return KNOWN_VERSIONS.get(version, (None, None))[1]


def version_warnings(asked: str, served: str | None, today: date) -> list[VersionWarning]:
    """What is wrong with asking for `asked` when `served` answers; None if no answer told."""
    warnings = []
    if served is not None and served != asked:
        warnings.append(
            VersionWarning(
                code="graph_version_mismatch",
                detail=f"Meta was asked for Graph API {asked} and answers with {served}.",
                remedy="Set the Graph API version to one that Meta serves.",
            )
        )
    last_day = sunset(asked)
    if last_day is not None and last_day - today <= _WARN_BEFORE:
        stops = "stopped" if last_day <= today else "stops"
        warnings.append(
            VersionWarning(
                code="graph_version_sunset",
                detail=f"Meta {stops} serving Graph API {asked} on {last_day.isoformat()}.",
                remedy="Upgrade to a release of this product that asks for a newer version.",
            )
        )
    return warnings
