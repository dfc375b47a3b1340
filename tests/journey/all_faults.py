"""Every fault of Meta at every edge of a check for updates, and the check's outcome.

`python -m tests.journey.all_faults` plays all of it, which takes some minutes.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import chain, cycle
from pathlib import Path

import httpx

from tests.journey.caller import Caller, at_once
from tests.journey.campaign import (
    Rules,
    Subject,
    change_partners,
    change_people,
    differing,
    host_subject,
    partner_subject,
    run,
)
from tests.journey.canaries import search
from tests.journey.meta import Json, Meta
from tests.journey.stacks import Stack, embedded_stack
from tests.journey.troubles import (
    APP_LIMIT,
    HOST_EDGES,
    PARTNER_EDGES,
    TROUBLES,
    Scenario,
    scenarios,
)

SMALL = ("--assets", "6", "--users", "6")
FEW = ("--partners", "8", *SMALL)
# Faults of the whole app run one after another, so two products share them.
OF_THE_APP = {"few": FEW, "few more": FEW}
FEWEST_HITS = 300
_CONNECTED_AT_ONCE = 6
# The tokens of our own business that every check here accepts.
HOST_TOKENS = ("good", "expiring")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Scenarios that were played, and each token of this world that is in our logs."""

    done: Sequence[Scenario]
    tokens_found: Sequence[str]

    @property
    def wrong(self) -> list[str]:
        """Checks with an untrue outcome, or with a repeated read that Meta had refused for good."""
        return [str(one) for one in self.done if one.wrong or one.forbidden]

    @property
    def hits(self) -> int:
        """Number of scenarios whose fault really occurred."""
        return sum(scenario.hits > 0 for scenario in self.done)


def play(directory: Path, *, sample: bool = False) -> Outcome:
    """Play all scenarios, or with `sample` each fault once.

    Each check is complete and true, reports what it lacks, fails as expected or waits. An assertion
    fails where a token is in a URL.
    """
    partners = ("--partners", "8" if sample else "30", "--relationships", "agency")
    products = {"many": (*partners, *SMALL), **OF_THE_APP}
    with ExitStack() as stacks:
        many, *few = (
            stacks.enter_context(embedded_stack(made_directory(directory / name), *options))
            for name, options in products.items()
        )
        with ThreadPoolExecutor() as pool:
            of_partners = pool.submit(disturb_partners, many, sample)
            of_the_app = pool.map(disturb_the_app, few, range(len(few)), [sample] * len(few))
            done = [*chain.from_iterable(of_the_app), *of_partners.result()]
        tokens_found = [hit for stack in (many, *few) for hit in logged_tokens(stack)]
    return Outcome(done, tokens_found)


def made_directory(path: Path) -> Path:
    """Create a directory for one product and return it."""
    path.mkdir()
    return path


def disturb_partners(stack: Stack, sample: bool) -> list[Scenario]:
    """Play every fault at every edge of a partner: partners in parallel, faults in sequence.

    A fault applies to one partner's tokens only, so that other partners' checks are not affected.
    """
    planned = chosen(scenarios(PARTNER_EDGES, TROUBLES, first=1000), sample)
    with stack.caller() as caller, closing(Rules(stack.meta)) as rules:
        subjects = connected_partners(caller, rules)
        shares = [planned[number :: len(subjects)] for number in range(len(subjects))]
        with ThreadPoolExecutor(max_workers=len(subjects)) as pool:
            list(pool.map(one_by_one, shares, [[subject] for subject in subjects]))
        assert_all_is_well_again(subjects)
    return planned


def disturb_the_app(stack: Stack, part: int, sample: bool) -> list[Scenario]:
    """Play the faults of all partners: our business's lists, `debug_token`, the app's limit."""
    lists, inspections, limits = (
        chosen(scenarios(edges, troubles, first), sample)[part :: len(OF_THE_APP)]
        for edges, troubles, first in (
            (HOST_EDGES, TROUBLES, 2000),
            (("debug_token",), TROUBLES, 3000),
            (("debug_token", *PARTNER_EDGES, *HOST_EDGES), (APP_LIMIT,), 4000),
        )
    )
    with (
        stack.caller() as caller,
        closing(Rules(stack.meta)) as rules,
        ExitStack() as more,
        ThreadPoolExecutor() as pool,
    ):
        hosts = [host_of(more.enter_context(stack.caller()), rules, kind) for kind in HOST_TOKENS]
        partners = connected_partners(caller, rules)
        of_lists = pool.submit(disturb_lists, lists, hosts)
        one_by_one(inspections, partners)
        of_lists.result()
        one_by_one([limit for limit in limits if limit.edge not in HOST_EDGES], partners)
        one_by_one([limit for limit in limits if limit.edge in HOST_EDGES], hosts)
        assert_all_is_well_again([*partners, *hosts])
    return [*lists, *inspections, *limits]


def chosen(planned: list[Scenario], sample: bool) -> list[Scenario]:
    """Return all scenarios, or for a sample one of each fault, at edges in turn."""
    if not sample:
        return planned
    edges = ("debug_token", *PARTNER_EDGES, *HOST_EDGES)
    names = (trouble.name for trouble in (*TROUBLES, APP_LIMIT))
    edge_of = dict(zip(names, cycle(edges), strict=False))
    return [one for one in planned if edge_of[one.trouble.name] == one.edge]


def connected_partners(caller: Caller, rules: Rules) -> list[Subject]:
    """Connect and check every agency."""
    _, partners = caller.discover()
    agencies = [one for one in partners.values() if one["relationship"] == "agency"]
    # A few at a time, so that each first check ends within the usual limit on a slow machine.
    groups = [
        agencies[at : at + _CONNECTED_AT_ONCE] for at in range(0, len(agencies), _CONNECTED_AT_ONCE)
    ]
    connected = [one for group in groups for one in at_once(caller.connected, group)]
    return [partner_subject(caller, rules, one) for one in connected]


def host_of(caller: Caller, rules: Rules, kind: str) -> Subject:
    """Connect our business in a separate workspace, with a token that a fault can select."""
    host = caller.meta.host()
    token = host["tokens"][kind]
    body = {"name": "Campaign", "meta_business_id": host["id"], "access_token": token}
    created = caller.ask("POST", "/v1/integrations", json=body)
    assert created.status_code == 201, created.text
    integration: Json = created.json()
    caller.check(integration)
    return host_subject(caller, rules, integration, f"host/{kind}")


def disturb_lists(planned: Sequence[Scenario], hosts: Sequence[Subject]) -> None:
    """Play faults at our lists of partners, as many at once as there are tokens.

    Faults that take equally long go together.
    """
    ordered = sorted(planned, key=lambda one: (one.trouble.waits or "", one.times or 9))
    for start in range(0, len(ordered), len(hosts)):
        chunk = ordered[start : start + len(hosts)]
        change_partners(hosts[0].caller.meta, chunk[0].dice("world"))
        with ThreadPoolExecutor(max_workers=len(chunk)) as pool:
            list(pool.map(run, chunk, hosts))
        assert_no_token_in_a_url(hosts[0].caller.meta)


def one_by_one(planned: Sequence[Scenario], subjects: Sequence[Subject]) -> None:
    """Play each fault on the next subject, with no other fault at the same time."""
    for scenario, subject in zip(planned, cycle(subjects), strict=False):
        if scenario.edge not in HOST_EDGES:
            change_people(subject, scenario.dice("world"))
        run(scenario, subject)
        assert_no_token_in_a_url(subject.caller.meta)


def assert_all_is_well_again(subjects: Sequence[Subject]) -> None:
    """Assert that one check of each subject without faults shows the truth."""
    jobs = [subject.caller.start_check(subject.owner) for subject in subjects]
    for subject, job in zip(subjects, jobs, strict=True):
        ended = subject.caller.ended(job, seconds=60)
        assert (ended["status"], ended["partial"]) == ("completed", False), ended
        assert (shown := subject.shown()) == (true := subject.true()), differing(shown, true)


def assert_no_token_in_a_url(meta: Meta) -> None:
    """Assert that no parameter of the latest requests is a token."""
    for call in meta.calls()["recent"]:
        assert "access_token" not in call["params"], call
        assert "input_token" not in call["params"] or call["path"].endswith("/debug_token"), call


def logged_tokens(stack: Stack) -> list[str]:
    """Return the places in our logs that have a token of this world, Page tokens included."""
    logs = stack.logs()
    assert b'"level": "debug"' in logs
    return search(stack.meta.tokens() | set(page_tokens(stack.meta)), {stack.name: logs})


def page_tokens(meta: Meta) -> Iterator[str]:
    """Yield the Page tokens that Meta returns to each partner."""
    for partner in meta.partners().values():
        headers = {"Authorization": f"Bearer {partner['tokens']['good']}"}
        url = f"{meta.url}/v26.0/me/accounts?fields=access_token&limit=100"
        rows = httpx.get(url, headers=headers, trust_env=False, timeout=30).json()["data"]
        yield from (row["access_token"] for row in rows if "access_token" in row)


def summary(outcome: Outcome) -> str:
    """Return the campaign's result in a few lines."""
    done = outcome.done
    outcomes = Counter(scenario.outcome for scenario in done)
    rows = {
        "scenarios": len(done),
        "of these with a hit": outcome.hits,
        **{f"  {name}": number for name, number in sorted(outcomes.items())},
        "wrong results": sum(bool(scenario.wrong) for scenario in done),
        "forbidden retries": sum(scenario.forbidden for scenario in done),
        "tokens found": len(outcome.tokens_found),
    }
    return "\n".join(f"{name:28}{number:6}" for name, number in rows.items())


def main() -> int:
    """Return 1 where an outcome was untrue, or too few faults occurred to judge."""
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as directory:
        outcome = play(Path(directory))
    print(summary(outcome), *outcome.wrong, sep="\n")
    return int(bool(outcome.wrong or outcome.tokens_found) or outcome.hits < FEWEST_HITS)


if __name__ == "__main__":
    sys.exit(main())
