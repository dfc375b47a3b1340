"""Everything that Meta can do wrong, at every edge that a check asks, and no dishonest outcome.

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
# What concerns the whole app goes one after another, so two products share it.
OF_THE_APP = {"few": FEW, "few more": FEW}
MOST_OF_THEM = 300
# The tokens of our own business that are good for all that is asked here.
HOST_TOKENS = ("good", "expiring")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was tried, and each token of this world that is somewhere in our logs."""

    done: Sequence[Scenario]
    tokens_found: Sequence[str]

    @property
    def wrong(self) -> list[str]:
        """Checks that told something untrue, or asked again what was refused for good."""
        return [str(one) for one in self.done if one.wrong or one.forbidden]

    @property
    def hits(self) -> int:
        """How many faults really struck."""
        return sum(scenario.hits > 0 for scenario in self.done)


def play(directory: Path, *, sample: bool = False) -> Outcome:
    """Each check is complete and true, says what it lacks, fails as it should or waits. A
    sample has each trouble once. An assertion fails where a token is in a URL.
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
        tokens_found = [hit for stack in (many, *few) for hit in tokens_in_sight(stack)]
    return Outcome(done, tokens_found)


def made_directory(path: Path) -> Path:
    """A place for one product."""
    path.mkdir()
    return path


def disturb_partners(stack: Stack, sample: bool) -> list[Scenario]:
    """Every trouble at every edge of a partner: all partners at once, one after another for each.

    A fault strikes one partner's tokens only, so that the others' checks are not concerned.
    """
    planned = chosen(scenarios(PARTNER_EDGES, TROUBLES, first=1000), sample)
    with stack.caller() as caller, closing(Rules(stack.meta)) as rules:
        subjects = connected_partners(caller, rules)
        lanes = [planned[number :: len(subjects)] for number in range(len(subjects))]
        with ThreadPoolExecutor(max_workers=len(subjects)) as pool:
            list(pool.map(one_by_one, lanes, [[subject] for subject in subjects]))
        assert_all_is_well_again(subjects)
    return planned


def disturb_the_app(stack: Stack, part: int, sample: bool) -> list[Scenario]:
    """What strikes all partners alike: our own business's lists, `debug_token`, the app's limit."""
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
    """All of these, or of each trouble the one at its edge of the sample: they take turns."""
    if not sample:
        return planned
    edges = ("debug_token", *PARTNER_EDGES, *HOST_EDGES)
    names = (trouble.name for trouble in (*TROUBLES, APP_LIMIT))
    edge_of = dict(zip(names, cycle(edges), strict=False))
    return [one for one in planned if edge_of[one.trouble.name] == one.edge]


def connected_partners(caller: Caller, rules: Rules) -> list[Subject]:
    """Every agency of ours, connected and checked once."""
    _, partners = caller.discover()
    agencies = [one for one in partners.values() if one["relationship"] == "agency"]
    return [partner_subject(caller, rules, one) for one in at_once(caller.connected, agencies)]


def host_of(caller: Caller, rules: Rules, kind: str) -> Subject:
    """Our business in a workspace of its own, by a token of its own that a fault can name."""
    host = caller.meta.host()
    token = host["tokens"][kind]
    body = {"name": "Campaign", "meta_business_id": host["id"], "access_token": token}
    created = caller.ask("POST", "/v1/integrations", json=body)
    assert created.status_code == 201, created.text
    integration: Json = created.json()
    caller.check(integration)
    return host_subject(caller, rules, integration, f"host/{kind}")


def disturb_lists(planned: Sequence[Scenario], hosts: Sequence[Subject]) -> None:
    """As many troubles at our lists of partners at once as there are tokens.

    Those that take equally long go together.
    """
    ordered = sorted(planned, key=lambda one: (one.trouble.waits or "", one.times or 9))
    for start in range(0, len(ordered), len(hosts)):
        chunk = ordered[start : start + len(hosts)]
        change_partners(hosts[0].caller.meta, chunk[0].dice("world"))
        with ThreadPoolExecutor(max_workers=len(chunk)) as pool:
            list(pool.map(run, chunk, hosts))
        assert_no_token_in_a_url(hosts[0].caller.meta)


def one_by_one(planned: Sequence[Scenario], subjects: Sequence[Subject]) -> None:
    """Each trouble on the next of these, with nobody of them disturbed meanwhile."""
    for scenario, subject in zip(planned, cycle(subjects), strict=False):
        if scenario.edge not in HOST_EDGES:
            change_people(subject, scenario.dice("world"))
        run(scenario, subject)
        assert_no_token_in_a_url(subject.caller.meta)


def assert_all_is_well_again(subjects: Sequence[Subject]) -> None:
    """With Meta in good health, one check of each shows the truth and nothing else."""
    jobs = [subject.caller.start_check(subject.owner) for subject in subjects]
    for subject, job in zip(subjects, jobs, strict=True):
        ended = subject.caller.ended(job, seconds=60)
        assert (ended["status"], ended["partial"]) == ("completed", False), ended
        assert (shown := subject.shown()) == (true := subject.true()), differing(shown, true)


def assert_no_token_in_a_url(meta: Meta) -> None:
    """Of the latest requests, the simulator has kept the names of all parameters."""
    for call in meta.calls()["recent"]:
        assert "access_token" not in call["params"], call
        assert "input_token" not in call["params"] or call["path"].endswith("/debug_token"), call


def tokens_in_sight(stack: Stack) -> list[str]:
    """Where in the logs of ours any token of this world is, those of Pages among them."""
    logs = stack.logs()
    assert b'"level": "debug"' in logs
    return search(stack.meta.tokens() | set(page_tokens(stack.meta)), {stack.name: logs})


def page_tokens(meta: Meta) -> Iterator[str]:
    """What Meta gives each partner to read its Pages with."""
    for partner in meta.partners().values():
        headers = {"Authorization": f"Bearer {partner['tokens']['good']}"}
        url = f"{meta.url}/v26.0/me/accounts?fields=access_token&limit=100"
        rows = httpx.get(url, headers=headers, trust_env=False, timeout=30).json()["data"]
        yield from (row["access_token"] for row in rows if "access_token" in row)


def summary(outcome: Outcome) -> str:
    """The campaign in a few lines."""
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
    """1 where an outcome was dishonest, or too few faults struck to tell."""
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as directory:
        outcome = play(Path(directory))
    print(summary(outcome), *outcome.wrong, sep="\n")
    return int(bool(outcome.wrong or outcome.tokens_found) or outcome.hits < MOST_OF_THEM)


if __name__ == "__main__":
    sys.exit(main())
