"""The error table, row by row, and answers that are not in it."""

import json
import pickle
from typing import Any

import pytest

from partner_connector.graph import (
    ERROR_TABLE,
    REFUSALS,
    Blocked,
    CursorExpired,
    ErrorClass,
    GraphError,
    InvalidRequest,
    LimitScope,
    NotFoundOrForbidden,
    PermissionMissing,
    RetryRule,
    Temporary,
    Throttled,
    TokenDead,
    TooMuchData,
    UnknownGraphError,
    Unreachable,
    classify,
    parse_answer,
    retry_delay,
)

CONFIGURATION, PERMISSION, RATE_LIMIT, TRANSIENT, INTERNAL = (
    ErrorClass.CONFIGURATION,
    ErrorClass.PERMISSION,
    ErrorClass.RATE_LIMIT,
    ErrorClass.TRANSIENT,
    ErrorClass.INTERNAL,
)
NEVER, ONCE, QUICK, SHRINK, RESTART, PARK = (
    RetryRule.NEVER,
    RetryRule.ONCE,
    RetryRule.QUICK,
    RetryRule.SHRINK,
    RetryRule.RESTART,
    RetryRule.PARK,
)
REDUCE = "Please reduce the amount of data you're asking for, then retry your request"

# Written by hand from `docs/reference/graph-facts.md#error-codes`, so that the table is checked
# against the facts and not against itself: code, subcode, message, HTTP status, expected result.
EXPECTED: list[tuple[int, int | None, str, int, type[GraphError], ErrorClass, str, RetryRule]] = [
    (1, None, "An unknown error occurred", 500, Temporary, TRANSIENT, "retry", QUICK),
    (1, 99, "An unknown error occurred", 500, Temporary, TRANSIENT, "retry", QUICK),
    (1, None, REDUCE, 500, TooMuchData, TRANSIENT, "retry", SHRINK),
    (2, None, "An unexpected error has occurred.", 500, Temporary, TRANSIENT, "retry", QUICK),
    (3, None, "capability", 400, PermissionMissing, PERMISSION, "request_app_access", NEVER),
    (4, None, "(#4) Application request limit", 403, Throttled, RATE_LIMIT, "wait", PARK),
    (10, None, "denied", 403, PermissionMissing, PERMISSION, "grant_permission", NEVER),
    (17, None, "user limit", 400, Throttled, RATE_LIMIT, "wait", PARK),
    (17, 2446079, "user limit", 400, Throttled, RATE_LIMIT, "wait", PARK),
    (32, None, "page limit", 403, Throttled, RATE_LIMIT, "wait", PARK),
    *(
        (code, None, "too many calls", 400, Throttled, RATE_LIMIT, "wait", PARK)
        for code in range(80000, 80015)
    ),
    (80004, 2446079, "too many calls", 400, Throttled, RATE_LIMIT, "wait", PARK),
    (100, None, "nonexisting field (x)", 400, InvalidRequest, INTERNAL, "contact_support", NEVER),
    (100, 33, "Unsupported get", 400, NotFoundOrForbidden, PERMISSION, "check_asset_access", NEVER),
    (100, 13, "inaccessible", 400, NotFoundOrForbidden, PERMISSION, "check_asset_access", NEVER),
    (
        100,
        None,
        "Invalid appsecret_proof provided in the API argument",
        400,
        InvalidRequest,
        CONFIGURATION,
        "review_configuration",
        NEVER,
    ),
    (
        100,
        None,
        "(#100) You must provide an app access token, or a user access token that is an owner",
        400,
        InvalidRequest,
        CONFIGURATION,
        "review_configuration",
        NEVER,
    ),
    (
        100,
        None,
        "The ids query parameter is deprecated in v26.0+.",
        500,
        InvalidRequest,
        INTERNAL,
        "contact_support",
        NEVER,
    ),
    (
        100,
        None,
        "(#100) The After Cursor specified exceeds the max limit supported by this endpoint",
        400,
        InvalidRequest,
        INTERNAL,
        "contact_support",
        NEVER,
    ),
    (100, 1487534, "too much", 400, TooMuchData, INTERNAL, "contact_support", SHRINK),
    (100, 1487694, "targeting", 400, InvalidRequest, INTERNAL, "contact_support", NEVER),
    (100, 1752129, "tasks", 400, InvalidRequest, INTERNAL, "contact_support", NEVER),
    (100, 1752100, "business-scoped", 400, InvalidRequest, INTERNAL, "contact_support", NEVER),
    (190, 1752100, "business-scoped", 400, InvalidRequest, INTERNAL, "contact_support", NEVER),
    (102, None, "session", 401, TokenDead, CONFIGURATION, "reconnect_token", NEVER),
    (104, None, "signature", 400, InvalidRequest, INTERNAL, "contact_support", ONCE),
    (110, None, "invalid user", 400, InvalidRequest, INTERNAL, "contact_support", NEVER),
    (190, None, "Cannot parse", 400, TokenDead, CONFIGURATION, "reconnect_token", NEVER),
    *(
        (190, subcode, "dead", 400, TokenDead, CONFIGURATION, "reconnect_token", NEVER)
        for subcode in (458, 460, 463, 467, 493, 999)
    ),
    *(
        (190, subcode, "human", 400, TokenDead, CONFIGURATION, "resolve_account_checkpoint", NEVER)
        for subcode in (459, 464)
    ),
    (190, 492, "no role", 400, PermissionMissing, PERMISSION, "grant_permission", NEVER),
    *(
        (code, None, "permission", 403, PermissionMissing, PERMISSION, "grant_permission", NEVER)
        for code in (200, 201, 273, 283, 294, 299)
    ),
    (200, 2655040, "denied", 403, PermissionMissing, PERMISSION, "grant_permission", NEVER),
    (210, None, "page token", 403, PermissionMissing, PERMISSION, "grant_page_access", NEVER),
    (270, None, "tier", 403, PermissionMissing, PERMISSION, "request_app_access", NEVER),
    (341, None, "limit", 400, Throttled, RATE_LIMIT, "wait", PARK),
    (368, None, "blocked", 403, Blocked, PERMISSION, "resolve_policy_block", NEVER),
    (415, None, "two-factor", 400, PermissionMissing, PERMISSION, "enable_two_factor", NEVER),
    *(
        (613, subcode, "limit", 403, Throttled, RATE_LIMIT, "wait", PARK)
        for subcode in (None, 1996, 1487742, 5044001)
    ),
    (803, None, "aliases", 404, NotFoundOrForbidden, PERMISSION, "check_asset_access", NEVER),
    (960, None, "batch", 400, Temporary, TRANSIENT, "retry", SHRINK),
    (2500, None, "Unknown path", 400, InvalidRequest, INTERNAL, "contact_support", NEVER),
    (2635, None, "version", 400, InvalidRequest, CONFIGURATION, "review_configuration", NEVER),
    (2642, None, "cursors", 400, CursorExpired, TRANSIENT, "retry", RESTART),
    *(
        (code, None, "business", 400, InvalidRequest, INTERNAL, "contact_support", NEVER)
        for code in (3944, 3918, 3914, 3949, 3965, 3962)
    ),
    (104001, None, "no app", 400, PermissionMissing, PERMISSION, "approve_app", NEVER),
    (1690111, None, "payment", 400, Blocked, PERMISSION, "resolve_account_restriction", NEVER),
    (1404163, None, "restricted", 400, Blocked, PERMISSION, "resolve_account_restriction", NEVER),
]


def body(code: Any, subcode: Any = None, message: str = "m", **more: Any) -> bytes:
    fields = {"code": code, "message": message, "fbtrace_id": "Atrace", **more}
    if subcode is not None:
        fields["error_subcode"] = subcode
    return json.dumps({"error": fields}).encode()


def classified(status: int, content: bytes, headers: dict[str, str] | None = None) -> GraphError:
    found = classify(status, headers or {}, parse_answer(content))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("code", "subcode", "message", "status", "kind", "error_class", "user_action", "retry"),
    EXPECTED,
)
@pytest.mark.parametrize("as_200", [False, True], ids=["", "in a 200"])
def test_known_code_is_classified(
    code: int,
    subcode: int | None,
    message: str,
    status: int,
    kind: type[GraphError],
    error_class: ErrorClass,
    user_action: str,
    retry: RetryRule,
    as_200: bool,
) -> None:
    """Classify every row in the same way when it comes with HTTP 200."""
    found = classified(200 if as_200 else status, body(code, subcode, message))

    assert type(found) is kind
    assert (found.error_class, found.user_action, found.retry) == (error_class, user_action, retry)
    assert (found.code, found.subcode, found.fbtrace_id) == (code, subcode, "Atrace")
    assert found.transient is (error_class in {TRANSIENT, RATE_LIMIT})


def test_every_row_of_error_table_is_reachable_and_tested() -> None:
    """Expect each row to be the first match of at least one case."""
    reached = {
        next(i for i, row in enumerate(ERROR_TABLE) if row.fits(code, subcode, message))
        for code, subcode, message, *_ in EXPECTED
    }
    untested = [ERROR_TABLE[i].description for i in range(len(ERROR_TABLE)) if i not in reached]

    # The one row without a code is tested with the batches.
    assert untested == ["over 50 operations (third party)"]


@pytest.mark.parametrize(
    ("code", "subcode", "scope"),
    [
        (4, None, LimitScope.APP),
        (341, None, LimitScope.APP),
        (17, None, LimitScope.TOKEN),
        (17, 2446079, LimitScope.AD_ACCOUNT),
        (32, None, LimitScope.PAGE),
        (613, None, LimitScope.TOKEN),
        (613, 1996, LimitScope.TOKEN),
        (613, 1487742, LimitScope.AD_ACCOUNT),
        (613, 5044001, LimitScope.TOKEN),
        (80001, None, LimitScope.PAGE),
        *((code, None, LimitScope.AD_ACCOUNT) for code in (80000, 80003, 80004)),
        (80004, 2446079, LimitScope.AD_ACCOUNT),
        *((code, None, LimitScope.CATALOG) for code in (80009, 80014)),
        *((code, None, LimitScope.TOKEN) for code in (80002, 80005, 80006, 80007, 80008)),
        *((code, None, LimitScope.TOKEN) for code in range(80010, 80014)),
        (200, None, None),
        (1, None, None),
    ],
)
def test_throttled_error_has_scope_of_its_limit(
    code: int, subcode: int | None, scope: LimitScope | None
) -> None:
    """Pause only the object whose limit is used up. Other errors have no scope."""
    assert classified(400, body(code, subcode)).scope is scope


def test_429_without_body_has_token_scope() -> None:
    """Let other tokens continue, since the response names no limit."""
    assert classified(429, b"").scope is LimitScope.TOKEN


def test_every_row_has_source_and_snake_case_action() -> None:
    for row in ERROR_TABLE:
        assert row.description.endswith(")")
        assert row.user_action.replace("_", "").isalpha()
        assert row.user_action.islower()


def test_unknown_code_keeps_its_numbers() -> None:
    found = classified(400, body(424242, 7, "New"))

    assert type(found) is UnknownGraphError
    assert (found.code, found.subcode, found.error_class, found.retry) == (
        424242,
        7,
        INTERNAL,
        NEVER,
    )


@pytest.mark.parametrize("status", [500, 503])
def test_unknown_code_with_5xx_status_is_retried(status: int) -> None:
    found = classified(status, body(424242))

    assert (type(found), found.retry, found.transient) == (UnknownGraphError, QUICK, True)


@pytest.mark.parametrize(
    ("code", "message", "retry", "transient"),
    [
        (200, "m", QUICK, True),
        (100, "m", QUICK, True),
        (424242, "m", QUICK, True),
        (4, "m", PARK, True),
        (190, "m", NEVER, False),
        (100, "The ids query parameter is deprecated", NEVER, False),
    ],
)
def test_is_transient_allows_retry_except_for_final_errors(
    code: int, message: str, retry: RetryRule, transient: bool
) -> None:
    """Retry a refusal with this flag, but never a dead token or `ids=`."""
    found = classified(400, body(code, None, message, is_transient=True))

    assert (found.retry, found.transient) == (retry, transient)
    assert not (transient and isinstance(found, REFUSALS)), "a transient error is no refusal"


@pytest.mark.parametrize("value", [False, None, "true", 1])
def test_is_transient_must_be_json_true(value: object) -> None:
    assert classified(400, body(200, is_transient=value)).retry is NEVER


@pytest.mark.parametrize(
    ("status", "content", "kind", "retry"),
    [
        (200, b"", Unreachable, QUICK),
        (200, b"Service Unavailable", Unreachable, QUICK),
        (200, b"<html></html>", Unreachable, QUICK),
        (200, b"true", Unreachable, QUICK),
        (200, b"\xff\xfe\x00", Unreachable, QUICK),
        (500, b"", Unreachable, QUICK),
        (502, b"<html></html>", Unreachable, QUICK),
        (503, b"{}", Unreachable, QUICK),
        (504, b"[]", Unreachable, QUICK),
        (408, b"", Unreachable, QUICK),
        (429, b"", Throttled, PARK),
        (400, b"<html></html>", UnknownGraphError, NEVER),
        (401, b"", UnknownGraphError, NEVER),
        (302, b"", UnknownGraphError, NEVER),
        (400, b'{"error":"invalid_request"}', UnknownGraphError, NEVER),
        (500, b'{"error":null}', UnknownGraphError, QUICK),
        (400, b'{"error":{}}', UnknownGraphError, NEVER),
        (400, b'{"error":{"code":"x","message":null}}', UnknownGraphError, NEVER),
    ],
)
def test_unreadable_response_is_classified_by_its_status(
    status: int, content: bytes, kind: type[GraphError], retry: RetryRule
) -> None:
    """Cover empty, HTML and incomplete responses."""
    found = classified(status, content)

    assert (type(found), found.retry, found.http_status) == (kind, retry, status)


@pytest.mark.parametrize("content", [b'{"id":"1"}', b'{"data":[]}', b"[]", b"{}", b'{"x":"error"}'])
def test_json_without_error_is_no_error(content: bytes) -> None:
    assert classify(200, {}, parse_answer(content)) is None


def test_code_in_quotes_is_read_as_number() -> None:
    found = classified(400, body("190", "463"))

    assert (type(found), found.code, found.subcode) == (TokenDead, 190, 463)


@pytest.mark.parametrize(
    ("retry", "delays"),
    [
        (NEVER, [None]),
        (PARK, [None]),
        (RESTART, [None]),
        (ONCE, [0.5, None]),
        (SHRINK, [0.5, None]),
        (QUICK, [0.5, 1.5, None, None]),
    ],
)
def test_retry_delay_follows_rule_of_error(retry: RetryRule, delays: list[float | None]) -> None:
    """Make at most three attempts within two seconds, and none that cannot help."""
    error = GraphError("m", retry=retry)

    assert [retry_delay(error, attempt + 1) for attempt in range(len(delays))] == delays


@pytest.mark.parametrize("kind", [GraphError, *GraphError.__subclasses__()])
def test_error_can_be_pickled(kind: type[GraphError]) -> None:
    """Let a workflow engine store the outcome of a step and raise it in another process."""
    error = kind(
        "m",
        code=1,
        subcode=2,
        fbtrace_id="t",
        http_status=400,
        error_class=RATE_LIMIT,
        user_action="wait",
        retry=PARK,
        resume_after=3.0,
    )

    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - bytes of this test

    assert type(again) is kind
    assert vars(again) == vars(error)
    assert str(again) == "m [code 1/2, HTTP 400, trace t]"
