"""Campaign step: break Meta, check for updates, and judge the outcome."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from tests.journey import truth
from tests.journey.caller import FINAL, Caller, wait_until
from tests.journey.meta import Json, Meta
from tests.journey.troubles import HOST_EDGES, Scenario, Trouble

# Edges read with an expansion of their users: a refused read is repeated once without it.
EXPANDED = (
    "client_ad_accounts",
    "client_product_catalogs",
    "client_pixels",
    "business_asset_groups",
)
# Dozens of clients poll at once and must leave the CPU to the product.
_POLL_SECONDS = 0.4

_DEAD = 190

Shown = dict[str, Json]


@dataclass(frozen=True, slots=True)
class Subject:
    """Owner of a disturbed check, with functions that read what we show and what is true."""

    caller: Caller
    rules: "Rules"
    owner: Json
    match: Callable[[str], Json]
    shown: Callable[[], Shown]
    true: Callable[[], Shown]
    reads_of: Callable[[str], int]
    """Number of reads of such an edge in a check without faults."""


def run(scenario: Scenario, subject: Subject) -> None:
    """Break Meta, check for updates, and judge; then remove the fault and judge a waiting job."""
    rules, before = subject.rules, subject.shown()
    match = subject.match(scenario.edge)
    rule_id = rules.add(match, scenario.trouble.fault, scenario.after, scenario.times)
    job = at_rest(subject.caller, subject.caller.start_check(subject.owner))
    # Read at once: a waiting job continues by itself in a second or two.
    after, rule = subject.shown(), rules.remove(rule_id)
    scenario.hits = rule["hits"]
    scenario.outcome = outcome_of(job)
    scenario.wrong += judged(scenario, job, before, after, subject.true())
    scenario.forbidden = forbidden_repeats(scenario, rule, subject.reads_of(scenario.edge))
    if job["status"] == "waiting":
        job = at_rest(subject.caller, job, or_waiting=False)
        if (outcome_of(job), subject.shown()) != ("complete", subject.true()):
            scenario.wrong.append(f"healed, and still not right: {job}")
    print(scenario)


def at_rest(caller: Caller, job: Json, *, or_waiting: bool = True) -> Json:
    """Wait until the job has ended or waits for Meta, and return it."""

    def look() -> Json:
        time.sleep(_POLL_SECONDS)
        return caller.job(job)

    def rests(seen: Json) -> bool:
        waits = or_waiting and seen["status"] == "waiting"
        return waits or (seen["status"] in FINAL and seen["finished_at"] is not None)

    return wait_until(look, rests, seconds=60)


def outcome_of(job: Json) -> str:
    """Return a short name of the job's outcome."""
    if job["status"] == "waiting":
        return f"waiting, {job['waiting_reason']}"
    if job["status"] == "completed":
        return "partial" if job["partial"] else "complete"
    return str(job["status"])


def judged(scenario: Scenario, job: Json, before: Shown, after: Shown, true: Shown) -> list[str]:
    """Return what is untrue in the outcome."""
    outcome, trouble = scenario.outcome, scenario.trouble
    if outcome == "complete":
        return [] if after == true else [f"complete, yet not true: {differing(after, true)}"]
    if scenario.hits == 0:
        return [f"nothing was broken, yet {outcome}: {job['warnings']} {job['error']}"]
    if outcome == "partial":
        return [*_unnamed(scenario, job), *untrue_or_lost(before, after, true)]
    wrong = [] if after == before else [f"{outcome}, yet changed: {differing(before, after)}"]
    if outcome == "failed" and trouble.waits is None:
        return wrong + _unfitting(trouble, job["error"])
    if outcome != f"waiting, {trouble.waits}":
        return [*wrong, f"{outcome}, which does not fit"]
    return (
        wrong
        if job["resume_at"] > job["updated_at"]
        else [*wrong, "it waits until a time in the past"]
    )


def _unfitting(trouble: Trouble, error: Json) -> list[str]:
    of_meta = "token_dead" if trouble.code == 190 else f"meta_{trouble.error_class}"
    wanted = (of_meta, trouble.error_class, trouble.user_action, trouble.code)
    reported = (error["code"], error["class"], error["user_action"], error["meta"]["code"])
    return [] if reported == wanted else [f"failed as {reported} instead of {wanted}"]


def _unnamed(scenario: Scenario, job: Json) -> list[str]:
    # Without a Page's token its users cannot be read, so the warning names that edge.
    edge = "assigned_users" if scenario.edge == "accounts" else scenario.edge
    named = any(warning["edge"] == edge for warning in job["warnings"])
    return [] if named else [f"partial, yet no warning about {edge}: {job['warnings']}"]


def untrue_or_lost(before: Shown, after: Shown, true: Shown) -> list[str]:
    """Return what a partial check must not do: lose true data, or show untrue data as new."""
    found = [f"lost {key}" for key in (before.keys() & true.keys()) - after.keys()]
    for key, shown in after.items():
        old, real = before.get(key), true.get(key)
        if shown == old:
            continue
        if real is None:
            # The user left, which the check cannot know: the user must stay unchanged.
            found.append(f"changed {key}, who has no access")
            continue
        for name, value in shown.items():
            unknown = old is None and value is None
            if name != "grants" and value not in ((old or real)[name], real[name]) and not unknown:
                found.append(f"{name} of {key} is {value!r}")
        found += _of_grants(key, (old or {"grants": {}})["grants"], shown["grants"], real["grants"])
    return found


def _of_grants(key: str, old: Shown, shown: Shown, real: Shown) -> list[str]:
    lost = [f"{key} lost {asset}" for asset in (old.keys() & real.keys()) - shown.keys()]
    return lost + [
        f"{key} on {asset} is {grant}"
        for asset, grant in shown.items()
        if grant not in (old.get(asset), real.get(asset))
    ]


def differing(one: Shown, other: Shown) -> str:
    """Return the entries that differ, in both directions."""
    keys = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    return str({key: (one.get(key), other.get(key)) for key in sorted(keys)})


def forbidden_repeats(scenario: Scenario, rule: Json, usual_reads: int) -> int:
    """Count the repeated reads that Meta had refused for good.

    A read in another form is no repeat: assets without their users, partners with id and name only.
    """
    trouble, edge = scenario.trouble, scenario.edge
    if trouble.waits is not None or rule["hits"] == 0:
        return 0
    other_forms = 0
    if edge in EXPANDED and trouble.code != _DEAD:
        other_forms = 1
    elif edge in HOST_EDGES and trouble.user_action in {
        "grant_permission",
        "grant_page_access",
        "contact_support",
    }:
        other_forms = 1 if trouble.concerns_the_edge_only else 0
    return max(0, int(rule["seen"]) - usual_reads - other_forms)


class Rules:
    """Faults of the simulator."""

    def __init__(self, meta: Meta) -> None:
        self._http = httpx.Client(base_url=f"{meta.url}/__simulator__", trust_env=False, timeout=30)

    def add(self, match: Json, fault: Json, after: int, times: int | None) -> str:
        """Add one fault and return its id."""
        rule = {"match": match, "fault": fault, "after": after, "times": times}
        answer = self._http.post("/faults", json=rule)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def remove(self, rule_id: str) -> Json:
        """Remove a fault; return how often it was seen and hit."""
        rule: Json = self._http.get(f"/faults/{rule_id}").json()
        assert self._http.delete(f"/faults/{rule_id}").status_code == 204
        return rule

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


def partner_subject(caller: Caller, rules: Rules, partner: Json) -> Subject:
    """Return a connected partner whose own token is disturbed."""
    business_id = partner["meta_business_id"]
    own = f"{business_id}/good"

    def match(edge: str) -> Json:
        if edge == "debug_token":
            return {"edge": edge}
        return {"edge": edge, "owner": f"{own}/page:" if edge == "assigned_users" else own}

    def reads_of(edge: str) -> int:
        pages = truth.asset_counts(caller.meta.partner(business_id))["page"]
        return {"batch": 2, "assigned_users": pages}.get(edge, 1)

    return Subject(
        caller,
        rules,
        partner,
        match,
        shown=lambda: truth.shown_users(caller.users(partner)),
        true=lambda: truth.users(caller.meta.partner(business_id)),
        reads_of=reads_of,
    )


def host_subject(caller: Caller, rules: Rules, integration: Json, label: str) -> Subject:
    """Return an integration whose own token is disturbed; its partners are compared like users."""
    host_id = integration["meta_business_id"]

    def shown() -> Shown:
        found = caller.partners(presence="listed").items()
        return {key: _as_listed(partner) for key, partner in found}

    def true() -> Shown:
        found = caller.meta.partners().items()
        return {k: _as_listed(p) for k, p in found if p["relationship"] != "none"}

    return Subject(
        caller,
        rules,
        integration,
        lambda edge: {"edge": edge, "owner": label, "path_prefix": host_id},
        shown,
        true,
        reads_of=lambda _edge: 1,
    )


def _as_listed(partner: Json) -> Json:
    return {"name": partner["name"], "relationship": partner["relationship"], "grants": {}}


def change_people(subject: Subject, dice: random.Random) -> None:
    """Make one user join, leave, or change name or tasks."""
    meta, business_id = subject.caller.meta, subject.owner["meta_business_id"]
    partner = meta.partner(business_id)
    asset = dice.choice(partner["shared_assets"])
    person = dice.choice(partner["people"])["id"]
    op = dice.choice(("join", "leave", "rename", "change_tasks"))
    if op == "join" or len(partner["people"]) < 4:
        meta.mutate("join", partner=business_id, assets=[asset["id"]])
    elif op == "leave":
        meta.mutate("leave", person=person)
    elif op == "rename":
        meta.mutate("rename", id=person, name=f"Renamed {dice.randrange(10**6)}")
    else:
        allowed = asset["permitted_tasks"]
        tasks = dice.sample(allowed, dice.randint(0, len(allowed)))
        meta.mutate("change_tasks", person=person, asset=asset["id"], tasks=tasks)


def change_partners(meta: Meta, dice: random.Random) -> None:
    """Rename one partner, and add or end a partnership."""
    partners = [p for p in meta.partners().values() if p["relationship"] != "none"]
    chosen = dice.choice(partners)
    meta.mutate("rename", id=chosen["id"], name=f"Renamed {dice.randrange(10**6)}")
    if len(partners) > 8:
        meta.mutate("end_partnership", partner=partners[-1]["id"])
    else:
        meta.mutate("new_partner", relationship=dice.choice(("agency", "client")))
