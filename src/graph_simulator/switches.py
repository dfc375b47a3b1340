"""Switches: one for each open question about Meta, and one for each kind of failure.

The defaults are the most likely behaviour. `GET /__simulator__/switches` lists the switches with
these texts; `PATCH` changes them. A mark such as `#paging` is a heading of
`docs/reference/graph-facts.md`.
"""

from dataclasses import asdict, dataclass, field, fields
from typing import Any


class SwitchError(ValueError):
    """The switch does not exist, or it does not accept the value."""


def _switch(default: Any, about: str, choices: tuple[object, ...] = ()) -> Any:
    return field(default=default, metadata={"about": about, "choices": choices})


@dataclass(slots=True)
class Switches:
    # Open questions, in the order of the facts page.
    permissions_rows: str = _switch(
        "full",
        "the *_permissions rows of agencies and clients (#open-permission-rows)",
        ("full", "id_only", "absent", "refused"),
    )
    business_users: str = _switch(
        "full",
        "business_users of a business that has not claimed the app (#open-unclaimed-app)",
        ("full", "partial", "refused"),
    )
    system_users: str = _switch(
        "full",
        "system_users of a business that has not claimed the app (#open-unclaimed-app)",
        ("full", "refused"),
    )
    people_refusal_code: int = _switch(
        200, "the error code of a refused people edge (#open-unclaimed-app)", (200, 3, 100)
    )
    host_sees_partner_people: bool = _switch(
        False, "an asset's owner may read assigned_users of another business (#open-partner-people)"
    )
    page_edges_need_page_token: bool = _switch(
        True, "a Page's agencies and assigned_users need a Page token (#open-page-access)"
    )
    business_argument_in_expansion: bool = _switch(
        True, "assigned_users.business(id) works inside fields= (#open-business-expansion)"
    )
    tasks_on_assigned_catalogs: bool = _switch(
        False,
        "rows of assigned_product_catalogs have tasks; documented is access_type "
        "(#open-catalog-tasks)",
    )
    business_usage_header: bool = _switch(
        False,
        "reads of Business edges carry x-business-use-case-usage, by business id "
        "(#open-business-limits)",
    )
    business_usage_type: str = _switch(
        "ads_management", "the type in that header; any text (#open-business-limits)"
    )
    max_page_limit: int = _switch(500, "maximum number of rows in a page (#open-page-size)")
    over_limit: str = _switch(
        "lower", "a larger limit is lowered or refused (#open-page-size)", ("lower", "refuse")
    )
    role_spelling: str = _switch(
        "upper", "roles in people rows: ADMIN or Admin (#open-spelling)", ("upper", "title")
    )
    user_type: str = _switch(
        "named",
        "user_type of assigned_users: BUSINESS_USER/SYSTEM_USER, lower case, or absent "
        "(#open-spelling)",
        ("named", "lower", "absent"),
    )
    access_status: str = _switch(
        "named", "access_status in rows of shares (#open-spelling)", ("named", "lower", "absent")
    )
    two_fac_status: str = _switch(
        "named", "two_fac_status of business users (#open-spelling)", ("named", "absent")
    )
    app_scoped_system_users: bool = _switch(
        False,
        "a token of another app sees other ids of the same system users (#open-app-scoped-ids)",
    )
    http_status_1: int = _switch(500, "HTTP status of code 1 (#open-http-statuses)")
    http_status_2: int = _switch(500, "HTTP status of code 2 (#open-http-statuses)")
    http_status_4: int = _switch(403, "HTTP status of code 4 (#error-codes)")
    http_status_17: int = _switch(400, "HTTP status of code 17 (#open-http-statuses)")
    http_status_32: int = _switch(403, "HTTP status of code 32 (#open-http-statuses)")
    http_status_190: int = _switch(400, "HTTP status of code 190 (#error-codes)", (400, 401))
    http_status_200: int = _switch(403, "HTTP status of codes 200 to 299 (#open-http-statuses)")

    # Tokens.
    debug_token_self_inspection: bool = _switch(
        False, "a token may be the access_token of its own debug_token call (#debug-token)"
    )
    debug_other_app: str = _switch(
        "described",
        "debug_token of another app's token, with our app token (#debug-token)",
        ("described", "refused"),
    )
    app_tokens_refused: bool = _switch(
        False, "the app is set up as native, so app tokens are refused (#debug-token)"
    )
    appsecret_proof: str = _switch(
        "optional",
        "off = ignored; optional = either form, checked when sent; plain or timed = only that "
        "form, checked when sent; required = either form, on every call (#appsecret-proof)",
        ("off", "optional", "plain", "timed", "required"),
    )
    batch_header_token: bool = _switch(
        True, "a batch may have its token in the Authorization header only (#appsecret-proof)"
    )
    batch_operation_headers: bool = _switch(
        True, "the Authorization header of an operation is used (#batches)"
    )

    # Visibility.
    missing_scope: str = _switch(
        "silent",
        "asset lists for a token without the scope: shorter, or refused with code 200 "
        "(#short-lists)",
        ("silent", "error"),
    )
    employee_reads_people: bool = _switch(
        True, "an employee system user may read business_users and system_users"
    )
    assigned_users_include_groups: bool = _switch(
        False,
        "assigned_users also lists people with access through a business asset group "
        "(#assigned-users)",
    )
    client_ad_accounts_lapsed: bool = _switch(
        False, "client_ad_accounts is empty, because the 30-day period is over (#asset-lists)"
    )
    partner_relationships: bool = _switch(
        False, "this app may read the edge partner_relationships (#partner-lists)"
    )
    partner_details: bool = _switch(
        True, "a partner's verification_status, link and created_time are readable (#plan-partners)"
    )

    # Lists and expansion.
    short_pages: bool = _switch(
        False, "pages have fewer rows than requested and still have next (#paging)"
    )
    empty_pages: bool = _switch(False, "every second page is empty and still has next (#paging)")
    refused_expansion: str = _switch(
        "fail",
        "an expanded edge that the caller may not read: the read fails, or omits the edge "
        "(#field-expansion)",
        ("fail", "omit"),
    )
    empty_expansion: str = _switch(
        "absent",
        "an expanded edge without rows: absent or an empty list (#field-expansion)",
        ("absent", "empty"),
    )
    data_budget: int = _switch(
        100_000,
        "maximum of fields times rows; above it, code 1 with HTTP 500; 0 = no limit (#paging)",
    )
    data_budget_chance: float = _switch(
        0.0, "probability of the same code 1 for a read of more than one row, of any size (#paging)"
    )

    # Versions, time and throttling.
    served_version: str = _switch(
        "", "this version serves every call; empty = the requested version (#versions)"
    )
    unversioned: str = _switch("v26.0", "the version of a call without a version (#versions)")
    latency_seconds: float = _switch(
        0.0, "every HTTP request takes at least this number of seconds"
    )
    usage_headers: str = _switch(
        "always",
        "when x-app-usage and the other usage headers are sent (#usage-headers)",
        ("always", "never"),
    )
    app_call_limit: int = _switch(
        0, "calls per window and app, then code 4; 0 = no limit (#limit-scopes)"
    )
    token_call_limit: int = _switch(
        0, "calls per window and token, then code 17; 0 = no limit (#limit-scopes)"
    )
    ad_account_call_limit: int = _switch(
        0, "calls per window and ad account, then 80004/2446079; 0 = no limit (#limit-scopes)"
    )
    page_call_limit: int = _switch(
        0, "calls per window and Page, then 80001; 0 = no limit (#limit-scopes)"
    )
    catalog_call_limit: int = _switch(
        0, "calls per window and catalog, then 80009; 0 = no limit (#limit-scopes)"
    )
    throttle_window_seconds: float = _switch(
        3600.0, "length of the window in seconds (#usage-headers)"
    )
    throttle_extension_seconds: float = _switch(
        0.0, "each throttled call extends the window by this number of seconds (#waiting)"
    )
    regain_minutes: int = _switch(
        -1,
        "estimated_time_to_regain_access in minutes while blocked; -1 = the real time, rounded up "
        "(#usage-headers)",
    )

    def change(self, wanted: dict[str, object]) -> None:
        """Apply all changes, or none. Raises `SwitchError` for a bad name or value."""
        known = {item.name: item for item in fields(self)}
        checked = {name: _checked(known.get(name), name, value) for name, value in wanted.items()}
        for name, value in checked.items():
            setattr(self, name, value)

    def values(self) -> dict[str, object]:
        return asdict(self)

    def describe(self) -> list[dict[str, object]]:
        return [
            {
                "name": item.name,
                "value": getattr(self, item.name),
                "default": item.default,
                "type": type(item.default).__name__,
                "choices": list(item.metadata["choices"]),
                "about": item.metadata["about"],
            }
            for item in fields(self)
        ]


def _checked(item: Any, name: str, value: object) -> object:
    if item is None:
        raise SwitchError(f"no switch is called {name!r}")
    kind = type(item.default)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise SwitchError(f"{name} must be of type {kind.__name__}")
    choices = item.metadata["choices"]
    if choices and value not in choices:
        raise SwitchError(f"{name} must be one of {', '.join(map(str, choices))}")
    return value
