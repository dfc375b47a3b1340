"""Token inspection: every known body of `debug_token`, and malformed ones."""

from datetime import UTC, datetime
from typing import Any

import pytest

from partner_connector.graph import (
    InvalidRequest,
    TokenInspection,
    UnknownGraphError,
    Unreachable,
)

from .meta import APP_SECRET, TOKEN, Meta, error, reply

# The documented sample of a system user token that never expires
# (`docs/reference/graph-facts.md#debug-token`).
SYSTEM_USER = {
    "app_id": "2965389650414399",
    "type": "SYSTEM_USER",
    "application": "App name",
    "data_access_expires_at": 0,
    "expires_at": 0,
    "is_valid": True,
    "issued_at": 1712099387,
    "scopes": ["ads_management", "business_management"],
    "granular_scopes": [
        {"scope": "ads_management"},
        {"scope": "business_management", "target_ids": ["7", 8]},
    ],
    "user_id": "104169029247128",
}
# An expired token: HTTP 200 with the verdict in the body (same page).
EXPIRED = {
    "app_id": 664,
    "type": "USER",
    "application": "testing",
    "data_access_expires_at": 1647022311,
    "error": {
        "code": 190,
        "message": f"Error validating access token {TOKEN}: Session has expired",
        "subcode": 463,
    },
    "expires_at": 1639227600,
    "is_valid": False,
    "scopes": ["email", "public_profile"],
    "user_id": 102,
}


def inspected(data: Any) -> TokenInspection:
    return TokenInspection.from_answer({"data": data})


async def test_documented_sample_is_read_in_full() -> None:
    meta = Meta(reply({"data": SYSTEM_USER}))

    found = await meta.client(app_secret=APP_SECRET).debug_token(TOKEN)

    assert found == TokenInspection(
        app_id="2965389650414399",
        application="App name",
        type="SYSTEM_USER",
        is_valid=True,
        expires_at=None,
        data_access_expires_at=None,
        never_expires=True,
        scopes=frozenset({"ads_management", "business_management"}),
        granular_scopes={"ads_management": None, "business_management": frozenset({"7", "8"})},
        user_id="104169029247128",
        error_code=None,
        error_subcode=None,
        error_message=None,
    )
    assert meta.requests[0].url.params["input_token"] == TOKEN


async def test_expired_token_is_returned_not_raised() -> None:
    """Return ids as text, and a message without the token."""
    found = await Meta(reply({"data": EXPIRED})).client().debug_token(TOKEN)

    assert (found.is_valid, found.never_expires) == (False, False)
    assert (found.error_code, found.error_subcode) == (190, 463)
    assert found.error_message == "Error validating access token ****: Session has expired"
    assert (found.app_id, found.user_id) == ("664", "102")
    assert found.expires_at == datetime(2021, 12, 11, 13, 0, tzinfo=UTC)
    assert found.data_access_expires_at == datetime(2022, 3, 11, 18, 11, 51, tzinfo=UTC)


def test_inspection_accepts_minimal_body() -> None:
    found = inspected({"is_valid": False, "error": {"code": 190}, "scopes": []})

    assert (found.is_valid, found.type, found.app_id) == (False, None, None)
    assert (found.expires_at, found.never_expires) == (None, False)


@pytest.mark.parametrize(
    ("times", "never"),
    [
        ({"expires_at": 0, "data_access_expires_at": 0}, True),
        ({"expires_at": 0}, True),
        ({"expires_at": 0, "data_access_expires_at": 1900000000}, False),
        ({"expires_at": 1900000000, "data_access_expires_at": 0}, False),
        ({"data_access_expires_at": 0}, False),
        ({"expires_at": None}, False),
        ({"expires_at": "0"}, False),
        ({"expires_at": False}, False),
        ({}, False),
    ],
)
def test_token_never_expires_only_when_meta_says_so(times: dict[str, Any], never: bool) -> None:
    """Treat a missing or malformed time as unknown."""
    assert inspected(times).never_expires is never


@pytest.mark.parametrize("value", [10**30, -(10**30), "soon", True, [], None])
def test_malformed_expiry_is_unknown(value: object) -> None:
    assert inspected({"expires_at": value}).expires_at is None


@pytest.mark.parametrize(
    ("entries", "scopes"),
    [
        ([{"scope": "a"}], {"a": None}),
        ([{"scope": "a", "target_ids": []}], {"a": frozenset()}),
        (
            [{"scope": "a", "target_ids": ["1"]}, {"scope": "a", "target_ids": ["2"]}],
            {"a": {"1", "2"}},
        ),
        ([{"scope": "a", "target_ids": ["1"]}, {"scope": "a"}], {"a": None}),
        ([{"scope": "a", "target_ids": "odd"}], {"a": frozenset()}),
        ([{}, None, "a"], {}),
        ("odd", {}),
    ],
)
def test_granular_scopes_without_target_ids_cover_all_objects(
    entries: object, scopes: dict[str, Any]
) -> None:
    """Read an empty or malformed list as no object."""
    assert inspected({"granular_scopes": entries}).granular_scopes == scopes


async def test_error_message_of_inspection_hides_token() -> None:
    """Remove the token as it was sent, which no pattern would find."""
    verdict = {"error": {"code": 190, "message": "Malformed access token tok-7"}}

    found = await Meta(reply({"data": verdict})).client().debug_token("tok-7")

    assert found.error_message == "Malformed access token ****"


async def test_token_inspects_itself_without_app_secret() -> None:
    """Use the fallback of `docs/reference/graph-facts.md#debug-token`."""
    meta = Meta(reply({"data": {"is_valid": True}}))

    await meta.client().debug_token(TOKEN)

    assert meta.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


async def test_refused_inspection_asks_to_review_configuration() -> None:
    """Conclude nothing about the inspected token."""
    message = "(#100) You must provide an app access token, or a user access token"
    meta = Meta(error(100, message))

    with pytest.raises(InvalidRequest) as caught:
        await meta.client().debug_token(TOKEN)

    assert caught.value.user_action == "review_configuration"


@pytest.mark.parametrize("content", [{}, {"data": None}, {"data": []}, []])
async def test_inspection_without_data_is_an_error(content: object) -> None:
    with pytest.raises(UnknownGraphError):
        await Meta(reply(content)).client().debug_token(TOKEN)


async def test_malformed_token_can_be_inspected_with_app_token() -> None:
    """Let Meta answer instead of the client."""
    meta = Meta(reply({"data": {"is_valid": False}}))

    found = await meta.client(app_secret=APP_SECRET).debug_token("two words & é\n")

    assert not found.is_valid
    assert meta.requests[0].url.params["input_token"] == "two words & é\n"


async def test_inspection_is_retried_after_temporary_error() -> None:
    meta = Meta(error(2, status=500), error(2, status=500), reply({"data": SYSTEM_USER}))

    assert (await meta.client().debug_token(TOKEN)).is_valid

    with pytest.raises(Unreachable):
        await Meta(reply("Service Unavailable")).client().debug_token(TOKEN)
