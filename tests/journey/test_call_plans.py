"""Calls to Meta of a check for updates, against the budget of the recommended plan.

One check of everything lists the partners, inspects each token and reads everything
(`docs/reference/graph-facts.md#plan-partners`). Each partner has one asset group with one member,
who has no other access. `pytest -s` prints the table.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.journey import truth
from tests.journey.caller import Caller, at_once
from tests.journey.meta import Json
from tests.journey.stacks import Stack, embedded_stack

PARTNERS, ASSETS, USERS = 20, 30, 25
SLACK = 1.1
# Where groups cannot be expanded (`docs/reference/graph-facts.md#plan-people`), their list and the
# member's own join a batch that is sent anyway. One more batch asks for the four kinds of asset in
# the group, another for its members.
GROUPS_HTTP, GROUPS_CALLS = 2, 1 + 1 + 4 + 1


@dataclass(frozen=True, slots=True)
class Cost:
    """HTTP requests sent, and calls as Meta counts them."""

    http: int
    counted: int


@pytest.fixture(scope="module")
def agencies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return twenty agencies with thirty of our assets shared to each."""
    size = ("--partners", PARTNERS, "--assets", ASSETS, "--users", USERS)
    options = (*map(str, size), "--relationships", "agency")
    with embedded_stack(tmp_path_factory.mktemp("plans"), *options) as stack:
        yield stack


def pages_of(partner: Json) -> int:
    """Count the shared assets that are Pages, each of which needs its own call."""
    return sum(asset["type"] == "page" for asset in partner["shared_assets"])


def measured(caller: Caller, integration: Json) -> Cost:
    """Return the cost of one check of everything."""
    caller.meta.forget_calls()
    job = caller.check(integration, seconds=120)
    assert (job["partial"], job["warnings"]) == (False, [])
    calls = caller.meta.calls()
    children = caller.children(job).values()
    reported = job["graph_calls"] + sum(child["graph_calls"] for child in children)
    assert reported == calls["counted_calls"], "the jobs report the calls that Meta counted"
    return Cost(calls["http_requests"], calls["counted_calls"])


def limit(http: int, counted: int) -> Cost:
    """Return 110 % of the plan's cost."""
    return Cost(math.floor(SLACK * http), math.floor(SLACK * counted))


@pytest.mark.nightly
def test_each_way_of_reading_stays_within_its_planned_cost(agencies: Stack) -> None:
    """Assert a cost of at most 110 % of the plan, and the same users in each way of reading."""
    with agencies.caller() as caller:
        integration, partners = caller.discover()
        assert len(partners) == PARTNERS
        at_once(caller.connected, partners.values())
        world = caller.meta.partners()
        page_count = sum(pages_of(partner) for partner in world.values())

        short = measured(caller, integration)
        caller.meta.switch(business_argument_in_expansion=False)
        learning = measured(caller, integration)
        plain = measured(caller, integration)
        caller.meta.switch(batch_operation_headers=False)
        measured(caller, integration)
        alone = measured(caller, integration)

        for business_id, partner in partners.items():
            shown = truth.shown_users(caller.users(partner))
            assert shown == truth.users(world[business_id])

    recommended = limit(1 + PARTNERS * 3, 1 + PARTNERS * 13 + page_count)
    requests = 1 + PARTNERS * (2 + math.ceil((ASSETS + 1) / 50) + GROUPS_HTTP)
    calls = 1 + PARTNERS * (7 + ASSETS + 1 + 2 + GROUPS_CALLS)
    batches, singly = limit(requests, calls), limit(requests + page_count, calls)
    rows = (
        ("people in the assets' rows", short, recommended),
        ("each asset and group, in batches", plain, batches),
        ("the same, Pages asked one by one", alone, singly),
    )
    print(f"\nP={PARTNERS} A={ASSETS} (Pages in all: {page_count}) U={USERS}")
    print(f"{'plan':34}{'HTTP':>6}{'limit':>7}{'counted':>9}{'limit':>7}")
    for name, cost, most in rows:
        print(f"{name:34}{cost.http:>6}{most.http:>7}{cost.counted:>9}{most.counted:>7}")
    print(f"{'the check that met the refusal':34}{learning.http:>6}{'':>7}{learning.counted:>9}")
    assert all(cost.http <= most.http and cost.counted <= most.counted for _, cost, most in rows)
    assert short.http <= 67
    assert short.counted <= 400
    assert plain.http < learning.http, "a refusal is remembered"
