"""Budgets: the effect of reports and refusals, and the objects that they apply to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_connector.graph import Budget, LimitScope, Usage
from partner_connector.graph.budgets import CallContext, blocked, merged, object_of, reported

from .budget_store import NOW

# The effect of one report or one refusal.


@pytest.mark.parametrize("percent", [0.0, 74.9, 75.0, 99.9])
def test_report_below_100_percent_does_not_block(percent: float) -> None:
    """Ignore the regain time of such a report."""
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
def test_full_budget_is_blocked_for_time_that_meta_reports(
    beside: list[Usage], seconds: float
) -> None:
    """Use the regain time, else the reset time, else a minute; at most a day."""
    budget = reported(None, Usage("k", 100.0), beside, NOW)
    assert budget == Budget(100.0, seen_at=NOW, blocked_until=NOW + seconds, blocks=1)


def test_block_without_reported_time_doubles_up_to_an_hour() -> None:
    """Double only blocks that follow each other within an hour."""
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


def test_concurrent_refusals_make_one_block() -> None:
    """Use the longest wait that Meta reports."""
    budget = blocked(None, None, NOW)
    assert blocked(budget, None, NOW + 1) == budget
    longer = blocked(budget, 600.0, NOW + 1)
    assert (longer.blocks, longer.wait_at(NOW + 1)) == (1, 600.0)
    assert blocked(longer, 5.0, NOW + 2) == longer


def test_block_and_report_expire() -> None:
    """Forget a report after an hour, the period over which Meta counts."""
    budget = Budget(90.0, seen_at=NOW, blocked_until=NOW + 60)
    assert budget.wait_at(NOW + 59.5) == 0.5
    assert budget.wait_at(NOW + 60) is None
    assert budget.percent_at(NOW + 3599) == 90.0
    assert budget.percent_at(NOW + 3600) == 0.0
    assert budget.is_relevant_at(NOW + 3659)
    assert not budget.is_relevant_at(NOW + 3660)
    assert not Budget(74.9, seen_at=NOW).is_relevant_at(NOW)


BUDGETS = st.builds(
    Budget,
    percent=st.floats(0, 200),
    seen_at=st.floats(0, 100),
    blocked_until=st.none() | st.floats(1, 100),
    blocks=st.integers(0, 9),
)


@given(one=BUDGETS, other=BUDGETS)
def test_merge_keeps_newest_report_and_longest_block(one: Budget, other: Budget) -> None:
    """Expect the same result in any order, and no change from a second merge."""
    both = merged(one, other)
    assert both.seen_at == max(one.seen_at, other.seen_at)
    assert both.percent in {b.percent for b in (one, other) if b.seen_at == both.seen_at}
    assert (both.blocked_until or 0) == max(one.blocked_until or 0, other.blocked_until or 0)
    assert merged(both, one) == merged(both, other) == both
    if one.seen_at != other.seen_at and one.blocked_until != other.blocked_until:
        assert merged(other, one) == both


# The object that a report or a refusal applies to.


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
def test_refusal_applies_to_object_of_call_or_else_to_token(
    subject: str | None, scope: LimitScope, key: str
) -> None:
    """Treat `me` as no object, since it differs from token to token."""
    assert CallContext("app:1", "token:a", subject).key_of_scope(scope) == key


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
def test_report_without_object_applies_to_object_of_call(
    subject: str | None, name: str, key: str
) -> None:
    """Rely on the call, because only the business use case header names its objects."""
    assert CallContext("app:1", "token:a", subject).key_of_report(Usage(name, 1.0)) == key


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
def test_object_is_read_from_budget_key(key: str, object_id: str | None) -> None:
    """Return `None` for keys of apps and tokens."""
    assert object_of(key) == object_id
