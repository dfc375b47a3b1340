"""Usage meters, their headers, and the errors when a limit is reached.

Facts: `docs/reference/graph-facts.md#usage-headers`, `#limit-scopes` and `#waiting`.
"""

import json
import math
from dataclasses import dataclass, field

from graph_simulator.graph.access import Viewer
from graph_simulator.graph.errors import GraphError
from graph_simulator.model.records import Asset
from graph_simulator.switches import Switches

CALLS_PER_PERCENT = 50
MAX_PERCENT_WITHOUT_LIMIT = 30
"""Highest usage shown without a limit: it grows, but stays where clients do not slow down."""


@dataclass(slots=True)
class Meter:
    count: int = 0
    ends_at: float = 0.0

    def percent(self, limit: int) -> int:
        if limit:
            return 100 * self.count // limit
        return min(MAX_PERCENT_WITHOUT_LIMIT, self.count // CALLS_PER_PERCENT)


@dataclass(slots=True)
class Throttle:
    meters: dict[str, Meter] = field(default_factory=dict)

    def charge(
        self, viewer: Viewer, asset: Asset | None, switches: Switches, now: float
    ) -> GraphError | None:
        """Count one call on each of its meters. Return the error of the first limit exceeded."""
        refusal = None
        for key, limit, full in _limits(viewer, asset, switches):
            meter = self._meter(key, switches, now)
            meter.count += 1
            if limit and meter.count > limit and refusal is None:
                meter.ends_at += switches.throttle_extension_seconds
                refusal = full.error()
        return refusal

    def headers(
        self,
        viewer: Viewer | None,
        app_id: str,
        asset: Asset | None,
        switches: Switches,
        now: float,
    ) -> dict[str, str]:
        if switches.usage_headers == "never":
            return {}
        app = self._meter(f"app:{app_id}", switches, now).percent(switches.app_call_limit)
        used = {"call_count": app, "total_cputime": app // 2, "total_time": app // 2}
        headers = {"x-app-usage": _compact(used)}
        cases = self._business_use_cases(viewer, asset, switches, now)
        if cases:
            headers["x-business-use-case-usage"] = _compact(cases)
        if asset is not None and asset.kind == "ad_account":
            meter = self._meter(f"asset:{asset.id}", switches, now)
            shown = {
                "acc_id_util_pct": meter.percent(switches.ad_account_call_limit),
                "reset_time_duration": max(0, math.ceil(meter.ends_at - now)),
                "ads_api_access_tier": "standard_access",
            }
            headers["x-ad-account-usage"] = _compact(shown)
        return headers

    def _business_use_cases(
        self, viewer: Viewer | None, asset: Asset | None, switches: Switches, now: float
    ) -> dict[str, list[dict[str, object]]]:
        if asset is not None and asset.kind in _USE_CASES:
            kind, limit = _USE_CASES[asset.kind][0], _asset_limit(asset, switches)
            meter = self._meter(f"asset:{asset.id}", switches, now)
            return {asset.id: [self._use_case(kind, meter, limit, switches, now)]}
        if switches.business_usage_header and viewer is not None and viewer.business is not None:
            key, limit = f"token:{viewer.token.label}", switches.token_call_limit
            meter = self._meter(key, switches, now)
            entry = self._use_case(switches.business_usage_type, meter, limit, switches, now)
            return {viewer.business.id: [entry]}
        return {}

    def _use_case(
        self, kind: str, meter: Meter, limit: int, switches: Switches, now: float
    ) -> dict[str, object]:
        percent = meter.percent(limit)
        blocked = bool(limit) and meter.count > limit
        entry: dict[str, object] = {
            "type": kind,
            "call_count": percent,
            "total_cputime": percent // 2,
            "total_time": percent // 2,
            "estimated_time_to_regain_access": regain(meter, switches, now) if blocked else 0,
        }
        if kind.startswith("ads_"):
            entry["ads_api_access_tier"] = "standard_access"
        return entry

    def _meter(self, key: str, switches: Switches, now: float) -> Meter:
        meter = self.meters.get(key)
        if meter is None or meter.ends_at <= now:
            meter = self.meters[key] = Meter(ends_at=now + switches.throttle_window_seconds)
        return meter


def regain(meter: Meter, switches: Switches, now: float) -> int:
    """Return the estimated time to regain access, in minutes."""
    if switches.regain_minutes >= 0:
        return switches.regain_minutes
    return max(1, math.ceil((meter.ends_at - now) / 60))


@dataclass(frozen=True, slots=True)
class Refusal:
    code: int
    message: str
    subcode: int | None = None
    is_transient: bool | None = None

    def error(self) -> GraphError:
        return GraphError(
            self.code, self.message, subcode=self.subcode, is_transient=self.is_transient
        )


# The type named in x-business-use-case-usage, and the refusal when that meter is full.
_USE_CASES = {
    "ad_account": (
        "ads_management",
        Refusal(
            80004,
            "There have been too many calls to this ad-account. Wait a bit and try again.",
            subcode=2446079,
        ),
    ),
    "page": ("pages", Refusal(80001, "There have been too many calls to this Page account.")),
    "product_catalog": (
        "catalog_management",
        Refusal(80009, "There have been too many calls to this catalog."),
    ),
}
_TOKEN_REFUSAL = Refusal(17, "(#17) User request limit reached", is_transient=True)
_APP_REFUSAL = Refusal(4, "(#4) Application request limit reached", is_transient=True)


def _limits(
    viewer: Viewer, asset: Asset | None, switches: Switches
) -> list[tuple[str, int, Refusal]]:
    """Return meters with limits and refusals. A business use case comes first (`#limit-scopes`)."""
    limits = [
        (f"token:{viewer.token.label}", switches.token_call_limit, _TOKEN_REFUSAL),
        (f"app:{viewer.token.app_id}", switches.app_call_limit, _APP_REFUSAL),
    ]
    if asset is None or asset.kind not in _USE_CASES:
        return limits
    refusal = _USE_CASES[asset.kind][1]
    return [(f"asset:{asset.id}", _asset_limit(asset, switches), refusal), *limits]


def _asset_limit(asset: Asset, switches: Switches) -> int:
    return {
        "ad_account": switches.ad_account_call_limit,
        "page": switches.page_call_limit,
        "product_catalog": switches.catalog_call_limit,
    }.get(asset.kind, 0)


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
