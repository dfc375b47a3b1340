"""Usage of Meta's rate limits, as its response headers report it.

Meta sends no `Retry-After`. It reports usage as JSON in five headers, on good and failed answers
and inside batch items, but only after enough calls: absent headers are normal. See
`docs/reference/graph-facts.md#usage-headers`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

SLOW_FROM_PERCENT = 75.0
_MAX_PAUSE_SECONDS = 1.0
_LARGEST_NUMBER = 10_000_000

_PERCENT_FIELDS = (
    "call_count",
    "total_cputime",
    "total_time",
    "acc_id_util_pct",
    "app_id_util_pct",
)
# Header → name of the limit. The business use case header has another form: up to 32 objects, each
# with a list of entries.
_FLAT_HEADERS = {
    "x-app-usage": "app",
    "x-page-usage": "page",
    "x-ad-account-usage": "ad_account",
    "x-fb-ads-insights-throttle": "ads_insights",
}
_BUSINESS_HEADER = "x-business-use-case-usage"


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage of one limit, as last reported."""

    key: str  # "app", "page", …; "<object id>/<type>" for business use cases; the id is opaque
    percent: float  # the largest of the reported percentages; 100 means calls may be refused
    regain_seconds: float | None = None  # from estimated_time_to_regain_access, sent in minutes
    reset_seconds: float | None = None  # from reset_time_duration, sent in seconds
    tier: str | None = None


def parse_usage(headers: Mapping[str, str]) -> list[Usage]:
    """Return all usage reports in an answer's headers. Malformed reports are ignored."""
    headers = httpx.Headers(headers)
    usages = [
        _usage(key, entry)
        for name, key in _FLAT_HEADERS.items()
        if isinstance(entry := _json(headers.get(name)), dict)
    ]
    usages.extend(_business_use_cases(_json(headers.get(_BUSINESS_HEADER))))
    return usages


def resume_after(usages: Sequence[Usage]) -> float | None:
    """Return the seconds until a refused call may be retried: regain time, else reset time.

    It is the longest of all reports, because the headers do not name the limit that refused the
    call. None if there is no time (#waiting).
    """
    regain = max((usage.regain_seconds or 0.0 for usage in usages), default=0.0)
    reset = max((usage.reset_seconds or 0.0 for usage in usages), default=0.0)
    return regain or reset or None


def pause_at(percent: float) -> float:
    """Return the seconds to delay a call: 0 up to 75 %, rising to 1 at 100 % and above."""
    share = (percent - SLOW_FROM_PERCENT) / (100.0 - SLOW_FROM_PERCENT)
    return min(max(share, 0.0), 1.0) * _MAX_PAUSE_SECONDS


def _business_use_cases(objects: Any) -> Iterator[Usage]:
    if not isinstance(objects, dict):
        return
    for object_id, entries in objects.items():
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict):
                yield _usage(f"{object_id}/{entry.get('type', 'unknown')}", entry)


def _usage(key: str, entry: dict[str, Any]) -> Usage:
    regain_minutes = _number(entry.get("estimated_time_to_regain_access"))
    tier = entry.get("ads_api_access_tier")
    return Usage(
        key=key,
        percent=max(_number(entry.get(field)) or 0.0 for field in _PERCENT_FIELDS),
        regain_seconds=None if regain_minutes is None else regain_minutes * 60,
        reset_seconds=_number(entry.get("reset_time_duration")),
        tier=tier if isinstance(tier, str) else None,
    )


def _json(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


def _number(value: Any) -> float | None:
    """Return a percentage or a time, or None for a value that is not a plausible number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= _LARGEST_NUMBER else None
