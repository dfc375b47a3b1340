"""Token inspection: every body that debug_token is known to give, and odd ones."""

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

# 4.1 [D], the sample of a never-expiring system user token.
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
# 4.1 [O], an expired token: HTTP 200 with the verdict in the body.
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


async def test_a_good_token_is_described_in_full() -> None:
    """The documented sample is read field by field."""
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


async def test_an_expired_token_is_a_verdict_and_not_an_exception() -> None:
    """A bad token's error is in the result, with numbers as text and no token in its message."""
    found = await Meta(reply({"data": EXPIRED})).client().debug_token(TOKEN)

    assert (found.is_valid, found.never_expires) == (False, False)
    assert (found.error_code, found.error_subcode) == (190, 463)
    assert found.error_message == "Error validating access token ****: Session has expired"
    assert (found.app_id, found.user_id) == ("664", "102")
    assert found.expires_at == datetime(2021, 12, 11, 13, 0, tzinfo=UTC)
    assert found.data_access_expires_at == datetime(2022, 3, 11, 18, 11, 51, tzinfo=UTC)


def test_a_bare_verdict_is_enough() -> None:
    """An unparsable token is answered with little more than "no"."""
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
def test_never_is_said_only_when_meta_says_it(times: dict[str, Any], never: bool) -> None:
    """A time that is absent or odd is unknown, which is not never."""
    assert inspected(times).never_expires is never


@pytest.mark.parametrize("value", [10**30, -(10**30), "soon", True, [], None])
def test_odd_times_are_unknown(value: object) -> None:
    """A time that is none breaks nothing."""
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
def test_narrowed_scopes(entries: object, scopes: dict[str, Any]) -> None:
    """No target ids means all objects; an empty or odd list means none."""
    assert inspected({"granular_scopes": entries}).granular_scopes == scopes


async def test_the_verdict_does_not_repeat_the_token() -> None:
    """Meta's message may name the token as it was given, which no pattern would find."""
    verdict = {"error": {"code": 190, "message": "Malformed access token tok-7"}}

    found = await Meta(reply({"data": verdict})).client().debug_token("tok-7")

    assert found.error_message == "Malformed access token ****"


async def test_without_the_secret_the_token_inspects_itself() -> None:
    """The fallback of 4.1 [O]."""
    meta = Meta(reply({"data": {"is_valid": True}}))

    await meta.client().debug_token(TOKEN)

    assert meta.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


async def test_a_refused_inspection_is_a_matter_of_configuration() -> None:
    """Meta's refusal of the asker says nothing about the token asked about."""
    message = "(#100) You must provide an app access token, or a user access token"
    meta = Meta(error(100, message))

    with pytest.raises(InvalidRequest) as caught:
        await meta.client().debug_token(TOKEN)

    assert caught.value.user_action == "review_configuration"


@pytest.mark.parametrize("content", [{}, {"data": None}, {"data": []}, []])
async def test_an_answer_without_a_verdict_is_an_error(content: object) -> None:
    """Nothing is concluded from an empty answer."""
    with pytest.raises(UnknownGraphError):
        await Meta(reply(content)).client().debug_token(TOKEN)


async def test_any_text_can_be_asked_about() -> None:
    """With the app's token even a malformed token is answered by Meta, not by us."""
    meta = Meta(reply({"data": {"is_valid": False}}))

    found = await meta.client(app_secret=APP_SECRET).debug_token("two words & é\n")

    assert not found.is_valid
    assert meta.requests[0].url.params["input_token"] == "two words & é\n"


async def test_an_inspection_is_repeated_like_any_read() -> None:
    """A hiccup is not a verdict."""
    meta = Meta(error(2, status=500), error(2, status=500), reply({"data": SYSTEM_USER}))

    assert (await meta.client().debug_token(TOKEN)).is_valid

    with pytest.raises(Unreachable):
        await Meta(reply("Service Unavailable")).client().debug_token(TOKEN)
