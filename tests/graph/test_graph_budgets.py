"""Budgets: what a report and a refusal change, and whom they concern."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_connector.graph import Budget, LimitScope, Usage
from partner_connector.graph.budgets import Concern, blocked, merged, object_of, reported

from .shelf import NOW

# What one report or one refusal changes.


@pytest.mark.parametrize("percent", [0.0, 74.9, 75.0, 99.9])
def test_a_report_below_the_wall_is_a_share_and_nothing_more(percent: float) -> None:
    """No wait, whatever the regain time beside it says."""
    usage = Usage("app", percent, regain_seconds=600.0)
    assert reported(None, usage, [usage], NOW) == Budget(percent, seen_at=NOW)


@pytest.mark.parametrize(
    ("beside", "seconds"),
    [
        ([], 60.0),
        ([Usage("k", 100.0)], 60.0),
        ([Usage("k", 100.0, reset_seconds=90.0)], 90.0),
        ([Usage("k", 100.0, reset_seconds=90.0), Usage("j", 9.0, regain_seconds=420.0)], 420.0),
        ([Usage("k", 100.0, regain_seconds=0.0, reset_seconds=90.0)], 90.0),
        ([Usage("k", 100.0, regain_seconds=1e9)], 24 * 3600.0),
    ],
)
def test_a_full_budget_is_blocked_for_as_long_as_meta_says(
    beside: list[Usage], seconds: float
) -> None:
    """Regain time, else reset time, else a minute; and a day at most."""
    budget = reported(None, Usage("k", 100.0), beside, NOW)
    assert budget == Budget(100.0, seen_at=NOW, blocked_until=NOW + seconds, blocks=1)


def test_without_a_word_each_block_is_twice_the_last_and_an_hour_at_most() -> None:
    """For as long as they follow each other within an hour."""
    waits, budget, now = [], None, NOW
    for _ in range(9):
        budget = blocked(budget, None, now)
        wait = budget.wait_at(now)
        assert wait is not None
        waits.append(wait)
        now += wait + 10
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert budget is not None
    assert blocked(budget, None, now + 3600).wait_at(now + 3600) == 60


def test_calls_that_were_under_way_make_no_second_block() -> None:
    """Fifty refusals at once are one block; the longest wait that Meta told counts."""
    budget = blocked(None, None, NOW)
    assert blocked(budget, None, NOW + 1) == budget
    longer = blocked(budget, 600.0, NOW + 1)
    assert (longer.blocks, longer.wait_at(NOW + 1)) == (1, 600.0)
    assert blocked(longer, 5.0, NOW + 2) == longer


def test_a_block_ends_by_itself_and_a_report_goes_stale() -> None:
    """Meta counts over an hour."""
    budget = Budget(90.0, seen_at=NOW, blocked_until=NOW + 60)
    assert budget.wait_at(NOW + 59.5) == 0.5
    assert budget.wait_at(NOW + 60) is None
    assert budget.percent_at(NOW + 3599) == 90.0
    assert budget.percent_at(NOW + 3600) == 0.0
    assert budget.matters_at(NOW + 3659)
    assert not budget.matters_at(NOW + 3660)
    assert not Budget(74.9, seen_at=NOW).matters_at(NOW)


BUDGETS = st.builds(
    Budget,
    percent=st.floats(0, 200),
    seen_at=st.floats(0, 100),
    blocked_until=st.none() | st.floats(1, 100),
    blocks=st.integers(0, 9),
)


@given(one=BUDGETS, other=BUDGETS)
def test_merging_takes_the_newest_report_and_the_longest_block(one: Budget, other: Budget) -> None:
    """Whoever is asked first, and once more changes nothing."""
    both = merged(one, other)
    assert both.seen_at == max(one.seen_at, other.seen_at)
    assert both.percent in {b.percent for b in (one, other) if b.seen_at == both.seen_at}
    assert (both.blocked_until or 0) == max(one.blocked_until or 0, other.blocked_until or 0)
    assert merged(both, one) == merged(both, other) == both
    if one.seen_at != other.seen_at and one.blocked_until != other.blocked_until:
        assert merged(other, one) == both


# Whom a report or a refusal concerns.


@pytest.mark.parametrize(
    ("subject", "scope", "key"),
    [
        ("act_7", LimitScope.APP, "app:1"),
        ("act_7", LimitScope.TOKEN, "token:a"),
        ("act_7", LimitScope.AD_ACCOUNT, "ad_account:7"),
        ("7", LimitScope.AD_ACCOUNT, "token:a"),
        ("7", LimitScope.PAGE, "page:7"),
        ("7", LimitScope.CATALOG, "catalog:7"),
        ("act_7", LimitScope.PAGE, "token:a"),
        ("me", LimitScope.PAGE, "token:a"),
        ("act_x", LimitScope.AD_ACCOUNT, "token:a"),
        (None, LimitScope.AD_ACCOUNT, "token:a"),
        (None, LimitScope.APP, "app:1"),
    ],
)
def test_a_refusal_is_about_the_object_of_the_call_or_else_its_token(
    subject: str | None, scope: LimitScope, key: str
) -> None:
    """`me` is another object for each token, so it is none."""
    assert Concern("app:1", "token:a", subject).key_of_scope(scope) == key


@pytest.mark.parametrize(
    ("subject", "name", "key"),
    [
        ("act_7", "app", "app:1"),
        ("act_7", "ad_account", "ad_account:7"),
        ("act_7", "ads_insights", "ad_account:7"),
        ("7", "page", "page:7"),
        ("me", "page", "token:a"),
        (None, "ad_account", "token:a"),
        ("act_7", "9/ads_management", "9/ads_management"),
    ],
)
def test_a_report_without_an_object_is_about_that_of_the_call(
    subject: str | None, name: str, key: str
) -> None:
    """Only the business use case header names its objects."""
    assert Concern("app:1", "token:a", subject).key_of_report(Usage(name, 1.0)) == key


@pytest.mark.parametrize(
    ("key", "object_id"),
    [
        ("app:1", None),
        ("token:a", None),
        ("token:a/b", None),
        ("reader:3", None),
        ("ad_account:7", "7"),
        ("page:8", "8"),
        ("catalog:9", "9"),
        ("10/pages", "10"),
    ],
)
def test_a_key_tells_its_object(key: str, object_id: str | None) -> None:
    """An app and a token are none."""
    assert object_of(key) == object_id
