"""Faults of Meta and the edges at which they occur: the scenarios of the campaign."""

import random
from dataclasses import dataclass, field

from tests.journey.meta import Json

PARTNER_EDGES = (
    "client_ad_accounts",
    "client_product_catalogs",
    "client_pixels",
    "client_pages",
    "accounts",
    "business_users",
    "system_users",
    "business_asset_groups",
    "assigned_business_asset_groups",
    "assigned_users",
    "batch",
)
HOST_EDGES = ("agencies", "clients")
ALWAYS = None
NOT_IN_A_BATCH = ("batch", "debug_token", *HOST_EDGES)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Fault of Meta, and the error that a job reports when it fails because of it."""

    name: str
    fault: Json
    error_class: str = "transient"
    user_action: str = "retry"
    code: int | None = None
    # True where Meta refuses one edge only: the check still reads all others.
    concerns_the_edge_only: bool = False

    @property
    def waits(self) -> str | None:
        """Reason why a job waits for the fault to end; None where it does not wait."""
        return {"transient": "retrying", "rate_limit": "rate_limited"}.get(self.error_class)


def _error(
    name: str, error: Json, error_class: str = "transient", action: str = "retry"
) -> Trouble:
    only_the_edge = error_class == "permission" or (error_class, error["code"]) == ("internal", 100)
    return Trouble(
        name,
        {"error": error},
        error_class,
        action,
        error["code"],
        concerns_the_edge_only=only_the_edge and error["code"] != 368,
    )


def _limit(name: str, error: Json) -> Trouble:
    """Return a limit that ends in two seconds, which Meta gives in minutes."""
    usage = {"type": "ads_management", "call_count": 100, "estimated_time_to_regain_access": 0.03}
    fault = {"error": error, "usage": {"x-business-use-case-usage": {"1": [usage]}}}
    return Trouble(name, fault, "rate_limit", "wait", error["code"])


APP_LIMIT = _limit("4 app limit", {"code": 4})
IDS = "(#100) The ids query parameter is not supported"
TROUBLES = (
    _error("1 unknown", {"code": 1}),
    _error("1 too much", {"code": 1, "message": "Please reduce the amount of data you ask for"}),
    _error("2 unavailable", {"code": 2}),
    _limit("17 user limit", {"code": 17}),
    _limit("80004 ads limit", {"code": 80004, "subcode": 2446079}),
    _limit("613 custom limit", {"code": 613}),
    _error(
        "100 no such field",
        {"code": 100, "message": "(#100) Tried accessing nonexisting field (x)"},
        "internal",
        "contact_support",
    ),
    _error("100/33 hidden", {"code": 100, "subcode": 33}, "permission", "check_asset_access"),
    _error(
        "100 ids, HTTP 500",
        {"code": 100, "http_status": 500, "message": IDS},
        "internal",
        "contact_support",
    ),
    _error("10 denied", {"code": 10}, "permission", "grant_permission"),
    _error("200 permission", {"code": 200}, "permission", "grant_permission"),
    _error("210 Page token", {"code": 210}, "permission", "grant_page_access"),
    _error("190/463 expired", {"code": 190, "subcode": 463}, "configuration", "reconnect_token"),
    _error("368 blocked", {"code": 368}, "permission", "resolve_policy_block"),
    _error("2642 cursor", {"code": 2642}),
    _error("803 no such alias", {"code": 803}, "permission", "check_asset_access"),
    _error("99999 never seen", {"code": 99999}, "internal", "contact_support"),
    Trouble("HTTP 503, HTML", {"http": 503}),
    Trouble("HTTP 500, empty", {"http": 500, "body": ""}),
    Trouble("200, empty", {"empty_body": True}),
    Trouble(
        "200 with an error",
        {"ok_with_error_body": {"code": 200}},
        "permission",
        "grant_permission",
        200,
        concerns_the_edge_only=True,
    ),
    Trouble("200, unavailable", {"service_unavailable_200": True}),
    Trouble("null in a batch", {"null_batch_item": True}),
    Trouble("reset", {"reset": True}),
    Trouble("cut off", {"truncate_body": 10}),
    Trouble("no JSON", {"body": "This is not JSON."}),
    Trouble("a list", {"body": "[]"}, "internal", "contact_support"),
)


@dataclass(slots=True)
class Scenario:
    """Fault at one edge, with details drawn from the seed, and its outcome."""

    seed: int
    edge: str
    trouble: Trouble
    outcome: str = "not run"
    hits: int = 0
    forbidden: int = 0
    wrong: list[str] = field(default_factory=list)

    def dice(self, purpose: str) -> random.Random:
        """Return a random generator with the same values each time."""
        return random.Random(f"{self.seed} {purpose}")  # noqa: S311 - guards nothing

    @property
    def times(self) -> int | None:
        """Number of failing calls; None for all. A dead token fails once."""
        drawn = self.dice("times").choice((1, 2, 3, ALWAYS))
        return 1 if self.trouble.code == 190 else drawn

    @property
    def after(self) -> int:
        """Number of good calls before; only where a check makes more than one such call."""
        several = self.edge in {"batch", "assigned_users"}
        return self.dice("after").choice((0, 1)) if several else 0

    def __str__(self) -> str:
        times = "forever" if self.times is None else f"{self.times} times"
        rule = f"{self.trouble.name}, {times} after {self.after}"
        complaints = "".join(f"\n      WRONG: {one}" for one in self.wrong)
        return (
            f"{self.seed:4} {self.edge:24} {rule:42} {self.outcome} ({self.hits} hit){complaints}"
        )


def scenarios(edges: tuple[str, ...], troubles: tuple[Trouble, ...], first: int) -> list[Scenario]:
    """Return every fault at every edge where it can occur."""
    pairs = [
        (edge, trouble)
        for edge in edges
        for trouble in troubles
        if "null_batch_item" not in trouble.fault or edge not in NOT_IN_A_BATCH
    ]
    return [Scenario(first + number, *pair) for number, pair in enumerate(pairs)]
