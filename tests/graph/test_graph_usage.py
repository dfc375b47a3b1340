"""Usage headers: parsing, waits after throttling, and pauses near a limit."""

import json

import pytest

from partner_connector.graph import Budget, Throttled, Usage, answer_to, edges, parse_usage
from partner_connector.graph.usage import pause_at

from .meta import Meta, error, reply

APP = json.dumps({"call_count": 28, "total_cputime": 25, "total_time": 91})
AD_ACCOUNT = json.dumps(
    {
        "acc_id_util_pct": 9.67,
        "reset_time_duration": 100,
        "ads_api_access_tier": "standard_access",
    }
)


def use_case_header(*minutes: int, percent: int = 10) -> str:
    """Return a business use case header with one object for each regain time in minutes."""
    return json.dumps(
        {
            f"{number}": [
                {"type": "pages", "call_count": 1, "estimated_time_to_regain_access": 0},
                {
                    "type": "ads_management",
                    "call_count": percent,
                    "estimated_time_to_regain_access": wait,
                },
            ]
            for number, wait in enumerate(minutes)
        }
    )


def test_every_usage_header_and_entry_is_read() -> None:
    """Accept names in any case, convert minutes to seconds, and use the largest percentage."""
    usages = parse_usage(
        {
            "X-App-Usage": APP,
            "x-ad-account-usage": AD_ACCOUNT,
            "X-Business-Use-Case-Usage": use_case_header(0, 12),
        }
    )

    assert usages == [
        Usage("app", 91.0),
        Usage("ad_account", 9.67, reset_seconds=100.0, tier="standard_access"),
        Usage("0/pages", 1.0, 0.0),
        Usage("0/ads_management", 10.0, 0.0),
        Usage("1/pages", 1.0, 0.0),
        Usage("1/ads_management", 10.0, 720.0),
    ]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "7", '{"1":{}}', '{"1":[7]}', '{"1":[[]]}', '{"1":null}']
)
def test_unreadable_usage_headers_are_ignored(text: str) -> None:
    assert parse_usage({"x-business-use-case-usage": text}) == []


@pytest.mark.parametrize("value", [None, "90", True, [], {}])
def test_malformed_percentage_counts_as_zero(value: object) -> None:
    assert parse_usage({"x-app-usage": json.dumps({"call_count": value})}) == [Usage("app", 0.0)]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 60.0),
        ({"x_app_usage": APP}, 60.0),
        ({"x_business_use_case_usage": use_case_header(3, 12, 0)}, 720.0),
        ({"x_business_use_case_usage": use_case_header(1), "x_ad_account_usage": AD_ACCOUNT}, 60.0),
        (
            {"x_business_use_case_usage": use_case_header(0), "x_ad_account_usage": AD_ACCOUNT},
            100.0,
        ),
        ({"x_ad_account_usage": AD_ACCOUNT}, 100.0),
    ],
)
async def test_throttled_error_has_seconds_to_wait(headers: dict[str, str], seconds: float) -> None:
    """Prefer the longest regain time to the reset time; without either, wait a minute."""
    answer = error(80004, error_subcode=2446079)
    answer.headers.update({name.replace("_", "-"): text for name, text in headers.items()})

    with pytest.raises(Throttled) as caught:
        await Meta(answer).reader().get(edges.me())

    assert caught.value.resume_after == seconds


async def test_other_error_has_no_time_to_wait() -> None:
    answer = error(190)
    answer.headers["x-business-use-case-usage"] = use_case_header(12)

    with pytest.raises(Exception, match="code 190") as caught:
        await Meta(answer).reader().get(edges.me())

    assert vars(caught.value)["resume_after"] is None


async def test_usage_is_read_from_failed_responses() -> None:
    answer = error(200)
    answer.headers["x-app-usage"] = APP
    meta = Meta(answer)
    client = meta.client(clock=lambda: 1000.0)

    with pytest.raises(Exception, match="code 200"):
        await client.reader("T").get(edges.me())

    assert client.budgets == {"app:2965389650414399": Budget(91.0, seen_at=1000.0)}


async def test_usage_is_read_from_each_batch_item() -> None:
    """Use the item's headers, which name the object of its read."""
    headers = [
        {"name": "X-Ad-Account-Usage", "value": json.dumps({"acc_id_util_pct": 80})},
        {"name": "X-Business-Use-Case-Usage", "value": json.dumps({"7": [{"call_count": 90}]})},
    ]
    good = {"code": 200, "body": "{}", "headers": headers}
    meta = Meta(reply([good, {"code": 200, "body": "{}"}]))
    client = meta.client(clock=lambda: 1000.0)

    await client.reader("T").batch(
        [answer_to(edges.assigned_users("act_7", "8")), answer_to(edges.business("8"))]
    )

    assert client.budgets == {
        "ad_account:7": Budget(80.0, seen_at=1000.0),
        "7/unknown": Budget(90.0, seen_at=1000.0),
    }


@pytest.mark.parametrize(
    ("percent", "seconds"), [(0, 0), (74.9, 0), (75, 0), (80, 0.2), (90, 0.6), (100, 1), (250, 1)]
)
def test_pause_grows_from_75_percent_up_to_a_second(percent: float, seconds: float) -> None:
    assert pause_at(percent) == pytest.approx(seconds)
