"""One switch for every question the public material leaves open, and for every mode of failure.

The defaults are what REFERENCE makes most likely. `GET /__simulator__/switches` lists them with
these texts; `PATCH` changes some.
"""

from dataclasses import asdict, dataclass, field, fields
from typing import Any


class SwitchError(ValueError):
    """A switch that does not exist, or a value it cannot take."""


def _switch(default: Any, about: str, choices: tuple[object, ...] = ()) -> Any:
    return field(default=default, metadata={"about": about, "choices": choices})


@dataclass(slots=True)
class Switches:
    # Open questions of REFERENCE 12, in its order.
    permissions_rows: str = _switch(
        "full",
        "12.1: the *_permissions rows of agencies and clients",
        ("full", "id_only", "absent", "refused"),
    )
    business_users: str = _switch(
        "full",
        "12.2, 3.4: business_users of a business that has not claimed the app",
        ("full", "partial", "refused"),
    )
    system_users: str = _switch(
        "full",
        "12.2: system_users of a business that has not claimed the app",
        ("full", "refused"),
    )
    people_refusal_code: int = _switch(
        200, "12.2: the code of a refused people edge", (200, 3, 100)
    )
    host_sees_partner_people: bool = _switch(
        False, "12.3: assigned_users?business={another business} answers an asset's owner"
    )
    page_edges_need_page_token: bool = _switch(
        True, "12.4, 3.2: a Page's agencies and assigned_users want a Page token"
    )
    business_argument_in_expansion: bool = _switch(
        True, "12.5: assigned_users.business(id) works inside fields="
    )
    tasks_on_assigned_catalogs: bool = _switch(
        False, "12.6: rows of assigned_product_catalogs have tasks (the docs list access_type)"
    )
    business_usage_header: bool = _switch(
        False, "12.7: reads of Business edges carry x-business-use-case-usage, by business id"
    )
    business_usage_type: str = _switch(
        "ads_management", "12.7: the type named in that header; any text"
    )
    max_page_limit: int = _switch(500, "12.8: the most rows a page may have")
    over_limit: str = _switch("lower", "12.8: what a bigger limit gives", ("lower", "refuse"))
    role_spelling: str = _switch("upper", "12.9: ADMIN or Admin on people rows", ("upper", "title"))
    user_type: str = _switch(
        "named",
        "12.9: user_type of assigned_users: BUSINESS_USER/SYSTEM_USER, lower case, or absent",
        ("named", "lower", "absent"),
    )
    access_status: str = _switch(
        "named", "12.9: access_status on sharing rows", ("named", "lower", "absent")
    )
    two_fac_status: str = _switch(
        "named", "12.9: two_fac_status on business users", ("named", "absent")
    )
    app_scoped_system_users: bool = _switch(
        False, "12.10: a token of another app sees other ids for the same system users"
    )
    http_status_1: int = _switch(500, "12.11: HTTP status of code 1")
    http_status_2: int = _switch(500, "12.11: HTTP status of code 2")
    http_status_4: int = _switch(403, "5.2: HTTP status of code 4")
    http_status_17: int = _switch(400, "12.11: HTTP status of code 17")
    http_status_32: int = _switch(403, "12.11: HTTP status of code 32")
    http_status_190: int = _switch(400, "5.2: HTTP status of code 190", (400, 401))
    http_status_200: int = _switch(403, "12.11: HTTP status of codes 200 to 299")

    # Tokens (REFERENCE 4.1 and 9).
    debug_token_self_inspection: bool = _switch(
        False, "4.1: a token may be the access_token of its own debug_token call"
    )
    debug_other_app: str = _switch(
        "described",
        "4.1: debug_token of another app's token, with our app token",
        ("described", "refused"),
    )
    app_tokens_refused: bool = _switch(
        False, "4.1: the app is set up as native, so app tokens are refused"
    )
    appsecret_proof: str = _switch(
        "optional",
        "9: off = never looked at; optional = either form, checked when sent; plain or timed = "
        "only that form, checked when sent; required = either form, on every call",
        ("off", "optional", "plain", "timed", "required"),
    )
    batch_header_token: bool = _switch(
        True, "9: a batch may have its token in the Authorization header only"
    )
    batch_operation_headers: bool = _switch(
        True, "8.1: an operation's own Authorization header is honoured"
    )

    # What a token sees.
    missing_scope: str = _switch(
        "silent",
        "asset lists for a token without the scope: shorter without a word, or code 200",
        ("silent", "error"),
    )
    employee_reads_people: bool = _switch(
        True, "an employee system user may read business_users and system_users"
    )
    assigned_users_include_groups: bool = _switch(
        False, "3.2: assigned_users also lists who comes through a business asset group"
    )
    client_ad_accounts_lapsed: bool = _switch(
        False, "2.3: the 30-day rule has struck: client_ad_accounts is empty"
    )
    partner_relationships: bool = _switch(
        False, "2.2: the edge partner_relationships is open to this app"
    )
    partner_details: bool = _switch(
        True, "a partner's verification_status, link and created_time are readable"
    )

    # Lists and expansion (REFERENCE 7 and 8).
    short_pages: bool = _switch(False, "7: pages hold fewer rows than asked and still have next")
    empty_pages: bool = _switch(False, "7: every second page is empty and still has next")
    refused_expansion: str = _switch(
        "fail", "8.2: an expanded edge the caller may not read", ("fail", "omit")
    )
    empty_expansion: str = _switch(
        "absent", "8.2: an expanded edge without rows", ("absent", "empty")
    )
    data_budget: int = _switch(
        100_000, "7: fields times rows asked for beyond this is code 1 with HTTP 500; 0 = no budget"
    )
    data_budget_chance: float = _switch(
        0.0, "7: chance of the same code 1 for reads of more than one row, whatever their size"
    )

    # Versions, time and throttling (REFERENCE 1 and 6).
    served_version: str = _switch(
        "", "1: this version serves every call, whatever was asked; empty = the one asked for"
    )
    unversioned: str = _switch("v26.0", "1: the version of a call that names none")
    latency_seconds: float = _switch(0.0, "every HTTP request takes at least this long")
    usage_headers: str = _switch(
        "always", "6.1: when x-app-usage and its like are sent", ("always", "never")
    )
    app_call_limit: int = _switch(0, "6.2: calls per window and app, then code 4; 0 = no limit")
    token_call_limit: int = _switch(0, "6.2: calls per window and token, then code 17")
    ad_account_call_limit: int = _switch(
        0, "6.2: calls per window and ad account, then 80004/2446079"
    )
    page_call_limit: int = _switch(0, "6.2: calls per window and Page, then 80001")
    catalog_call_limit: int = _switch(0, "6.2: calls per window and catalog, then 80009")
    throttle_window_seconds: float = _switch(3600.0, "6.1: length of the window")
    throttle_extension_seconds: float = _switch(
        0.0, "6.3: each call refused for throttling puts the end of the window off by this"
    )
    regain_minutes: int = _switch(
        -1, "6.1: estimated_time_to_regain_access while blocked; -1 = the true time, rounded up"
    )

    def change(self, wanted: dict[str, object]) -> None:
        """All of the changes, or none of them."""
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
        raise SwitchError(f"{name} takes a {kind.__name__}")
    choices = item.metadata["choices"]
    if choices and value not in choices:
        raise SwitchError(f"{name} is one of {', '.join(map(str, choices))}")
    return value
