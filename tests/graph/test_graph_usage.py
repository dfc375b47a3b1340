"""Usage headers: what is read out of them, how long to wait, how gently to go on."""

import json
from collections.abc import Sequence

import pytest

from partner_connector.graph import Throttled, Usage, edges, parse_usage
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


def business(*minutes: int, percent: int = 10) -> str:
    """A business use case header with one object per regain time."""
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


def test_all_headers_and_all_entries_are_read() -> None:
    """Names in any case, minutes as seconds, the largest percentage of each entry."""
    usages = parse_usage(
        {
            "X-App-Usage": APP,
            "x-ad-account-usage": AD_ACCOUNT,
            "X-Business-Use-Case-Usage": business(0, 12),
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
def test_unreadable_headers_are_as_good_as_absent(text: str) -> None:
    """Odd header texts never break a call."""
    assert parse_usage({"x-business-use-case-usage": text}) == []


@pytest.mark.parametrize("value", [None, "90", True, [], {}])
def test_odd_numbers_count_as_nothing(value: object) -> None:
    """A percentage that is no number is zero."""
    assert parse_usage({"x-app-usage": json.dumps({"call_count": value})}) == [Usage("app", 0.0)]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x_app_usage": APP}, None),
        ({"x_business_use_case_usage": business(3, 12, 0)}, 720.0),
        ({"x_business_use_case_usage": business(1), "x_ad_account_usage": AD_ACCOUNT}, 60.0),
        ({"x_business_use_case_usage": business(0), "x_ad_account_usage": AD_ACCOUNT}, 100.0),
        ({"x_ad_account_usage": AD_ACCOUNT}, 100.0),
    ],
)
async def test_throttling_says_when_to_come_back(
    headers: dict[str, str], seconds: float | None
) -> None:
    """Regain time goes before reset time, the longest of all entries; nothing means unknown."""
    answer = error(80004, error_subcode=2446079)
    answer.headers.update({name.replace("_", "-"): text for name, text in headers.items()})

    with pytest.raises(Throttled) as caught:
        await Meta(answer).reader().get(edges.me())

    assert caught.value.resume_after == seconds


async def test_only_throttling_has_a_time_to_come_back() -> None:
    """Regain minutes beside another error say nothing about that error."""
    answer = error(190)
    answer.headers["x-business-use-case-usage"] = business(12)

    with pytest.raises(Exception, match="code 190") as caught:
        await Meta(answer).reader().get(edges.me())

    assert vars(caught.value)["resume_after"] is None


async def test_usage_is_read_from_failed_answers_too() -> None:
    """A refused call is the one whose headers matter most."""
    answer = error(200)
    answer.headers["x-app-usage"] = APP
    seen: list[Usage] = []

    def observe(usages: Sequence[Usage], /) -> None:
        seen.extend(usages)

    meta = Meta(answer)
    client = meta.client(on_usage=observe)
    with pytest.raises(Exception, match="code 200"):
        await client.reader("T").get(edges.me())

    assert client.usage == {"app": Usage("app", 91.0)}
    assert client.usage_percent == 91.0
    assert seen == [Usage("app", 91.0)]


@pytest.mark.parametrize(
    ("percent", "seconds"), [(0, 0), (74.9, 0), (75, 0), (80, 0.2), (90, 0.6), (100, 1), (250, 1)]
)
def test_the_pause_grows_from_75_percent_and_never_passes_a_second(
    percent: float, seconds: float
) -> None:
    """Slowing down is gentle and bounded."""
    assert pause_at(percent) == pytest.approx(seconds)


async def test_the_app_slows_everybody_and_an_account_only_its_reader() -> None:
    """One throttled partner does not hold back the others."""
    meta = Meta(
        reply({}, x_business_use_case_usage=business(0, percent=100)),
        reply({}),
        reply({}, x_app_usage=json.dumps({"call_count": 100})),
        reply({}),
    )
    client = meta.client()
    busy, idle = client.reader("BUSY"), client.reader("IDLE")

    await busy.get(edges.me())
    await idle.get(edges.me())
    assert meta.sleeps == []

    await busy.get(edges.me())
    assert meta.sleeps == [1.0]

    await idle.get(edges.me())
    assert meta.sleeps == [1.0, 1.0]


async def test_remembered_allowances_are_bounded() -> None:
    """A process that meets many ad accounts does not grow for ever."""
    meta = Meta(
        *(
            reply({}, x_business_use_case_usage=json.dumps({str(n): [{"type": "t"}] * 2}))
            for n in range(1100)
        )
    )
    client = meta.client()
    reader = client.reader("T")

    for _ in range(1100):
        await reader.get(edges.me())

    assert len(client.usage) == 1024
    assert "1099/t" in client.usage
    assert "0/t" not in client.usage


async def test_a_reader_forgets_the_apps_old_percentage() -> None:
    """The app's latest report counts for all, whoever heard it."""
    meta = Meta(
        reply({}, x_app_usage=json.dumps({"call_count": 100})),
        reply({}, x_app_usage=json.dumps({"call_count": 10})),
    )
    client = meta.client()
    first, second = client.reader("FIRST"), client.reader("SECOND")

    await first.get(edges.me())
    await second.get(edges.me())
    await first.get(edges.me())

    assert meta.sleeps == [1.0]
