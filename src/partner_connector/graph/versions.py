"""Known versions of the Graph API, their last days, and warnings about the configured version.

Source, as of 2026-11: `docs/reference/graph-facts.md#versions`. Meta serves a version until two
years after the release of the next one. After that, the oldest version that Meta still serves
answers the calls, without an error.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

# Version → release day and last day; None while the next version is not released.
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
    """Warning for the operator about the configured version."""

    code: Literal["graph_version_mismatch", "graph_version_sunset"]
    detail: str
    remedy: str


def sunset(version: str) -> date | None:
    """Return the day on which Meta stops serving a version; None if it is not known."""
    return KNOWN_VERSIONS.get(version, (None, None))[1]


def version_warnings(asked: str, served: str | None, today: date) -> list[VersionWarning]:
    """Return warnings about `asked`. `served` is the version that answered; None: unknown."""
    warnings = []
    if served is not None and served != asked:
        warnings.append(
            VersionWarning(
                code="graph_version_mismatch",
                detail=f"Meta was asked for Graph API {asked}, but answers with {served}.",
                remedy="Set the Graph API version to one that Meta still serves.",
            )
        )
    last_day = sunset(asked)
    if last_day is not None and last_day - today <= _WARN_BEFORE:
        stops = "stopped" if last_day <= today else "stops"
        warnings.append(
            VersionWarning(
                code="graph_version_sunset",
                detail=f"Meta {stops} serving Graph API {asked} on {last_day.isoformat()}.",
                remedy="Upgrade to a release of this product that uses a newer Graph API version.",
            )
        )
    return warnings
