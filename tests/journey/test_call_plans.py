"""What a check for updates costs at Meta, against the budget of the recommended plan.

Of one check of everything: list the partners, inspect each token, read everything (CALL_PLANS).
Each partner has one asset group with one member, who has access by nothing else.
`pytest -s` prints the table.
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
# Plan c4 where groups cannot be expanded: their list and the member's own ride along, and a batch
# asks for the four kinds of asset in the group, another for who is in it.
GROUPS_HTTP, GROUPS_CALLS = 2, 1 + 1 + 4 + 1


@dataclass(frozen=True, slots=True)
class Cost:
    """HTTP requests on the wire, and calls as Meta counts them."""

    http: int
    counted: int


@pytest.fixture(scope="module")
def agencies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Twenty agencies to each of which thirty of our assets are shared."""
    size = ("--partners", PARTNERS, "--assets", ASSETS, "--users", USERS)
    options = (*map(str, size), "--relationships", "agency")
    with embedded_stack(tmp_path_factory.mktemp("plans"), *options) as stack:
        yield stack


def pages_of(partner: Json) -> int:
    """How many of the shared assets are Pages, each of which is asked alone."""
    return sum(asset["type"] == "page" for asset in partner["shared_assets"])


def measured(caller: Caller, integration: Json) -> Cost:
    """One check of everything."""
    caller.meta.forget_calls()
    job = caller.check(integration, seconds=120)
    assert (job["partial"], job["warnings"]) == (False, [])
    calls = caller.meta.calls()
    children = caller.children(job).values()
    told = job["graph_calls"] + sum(child["graph_calls"] for child in children)
    assert told == calls["counted_calls"], "what the jobs tell is what Meta counted"
    return Cost(calls["http_requests"], calls["counted_calls"])


def limit(http: int, counted: int) -> Cost:
    """A tenth more than the plan says."""
    return Cost(math.floor(SLACK * http), math.floor(SLACK * counted))


@pytest.mark.nightly
def test_the_plans_stay_within_their_budget(agencies: Stack) -> None:
    """Each way of asking costs at most a tenth more than its plan, and finds the same people."""
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
