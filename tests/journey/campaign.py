"""A campaign against the product: break Meta, check for updates, judge what came of it."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from tests.journey import truth
from tests.journey.caller import FINAL, Caller, wait_until
from tests.journey.meta import Json, Meta
from tests.journey.troubles import HOST_EDGES, Scenario, Trouble

# Edges whose rows bring their people along: a refused one is asked once more without them.
EXPANDED = (
    "client_ad_accounts",
    "client_product_catalogs",
    "client_pixels",
    "business_asset_groups",
)
# Dozens look at once: they may not take the machine from those who are looked at.
_LOOKS_EVERY_SECONDS = 0.4

_DEAD = 190

Shown = dict[str, Json]


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose check is disturbed, and how to see what we show and what is true of it."""

    caller: Caller
    rules: "Rules"
    owner: Json
    match: Callable[[str], Json]
    shown: Callable[[], Shown]
    true: Callable[[], Shown]
    reads_of: Callable[[str], int]
    """How often a check without trouble asks such an edge."""


def run(scenario: Scenario, subject: Subject) -> None:
    """Break Meta, check for updates, judge; then heal Meta, and what waits must come right."""
    rules, before = subject.rules, subject.shown()
    match = subject.match(scenario.edge)
    rule_id = rules.add(match, scenario.trouble.fault, scenario.after, scenario.times)
    job = at_rest(subject.caller, subject.caller.start_check(subject.owner))
    # At once: what waits goes on by itself in a second or two.
    after, rule = subject.shown(), rules.take_away(rule_id)
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
    """The job once it has ended or waits for Meta."""

    def look() -> Json:
        time.sleep(_LOOKS_EVERY_SECONDS)
        return caller.job(job)

    def rests(seen: Json) -> bool:
        waits = or_waiting and seen["status"] == "waiting"
        return waits or (seen["status"] in FINAL and seen["finished_at"] is not None)

    return wait_until(look, rests, seconds=60)


def outcome_of(job: Json) -> str:
    """How a check ended, in a word or two."""
    if job["status"] == "waiting":
        return f"waiting, {job['waiting_reason']}"
    if job["status"] == "completed":
        return "partial" if job["partial"] else "complete"
    return str(job["status"])


def judged(scenario: Scenario, job: Json, before: Shown, after: Shown, true: Shown) -> list[str]:
    """What of the outcome is not honest."""
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
    return wrong if job["resume_at"] > job["updated_at"] else [*wrong, "it waits for the past"]


def _unfitting(trouble: Trouble, error: Json) -> list[str]:
    of_meta = "token_dead" if trouble.code == 190 else f"meta_{trouble.error_class}"
    wanted = (of_meta, trouble.error_class, trouble.user_action, trouble.code)
    told = (error["code"], error["class"], error["user_action"], error["meta"]["code"])
    return [] if told == wanted else [f"failed as {told} instead of {wanted}"]


def _unnamed(scenario: Scenario, job: Json) -> list[str]:
    # Without a Page's token its people cannot be read, which is what is told.
    edge = "assigned_users" if scenario.edge == "accounts" else scenario.edge
    named = any(warning["edge"] == edge for warning in job["warnings"])
    return [] if named else [f"partial, yet no word of {edge}: {job['warnings']}"]


def untrue_or_lost(before: Shown, after: Shown, true: Shown) -> list[str]:
    """What a partial check may not do: lose what is true, or show as new what is not."""
    found = [f"lost {key}" for key in (before.keys() & true.keys()) - after.keys()]
    for key, shown in after.items():
        old, real = before.get(key), true.get(key)
        if shown == old:
            continue
        if real is None:
            # Somebody who left and cannot be proven gone: nothing new may be said of them.
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
    """The entries that are not the same, both ways."""
    keys = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    return str({key: (one.get(key), other.get(key)) for key in sorted(keys)})


def forbidden_repeats(scenario: Scenario, rule: Json, usual_reads: int) -> int:
    """How often a read that Meta refused for good was asked again as it was.

    Another form of the question is no repeat: rows of assets without their people, partners with
    id and name only.
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
    """The simulator's faults, one by one."""

    def __init__(self, meta: Meta) -> None:
        self._http = httpx.Client(base_url=f"{meta.url}/__simulator__", trust_env=False, timeout=30)

    def add(self, match: Json, fault: Json, after: int, times: int | None) -> str:
        """One more; the others stay."""
        rule = {"match": match, "fault": fault, "after": after, "times": times}
        answer = self._http.post("/faults", json=rule)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def take_away(self, rule_id: str) -> Json:
        """How often it was seen and hit, and it is no more."""
        rule: Json = self._http.get(f"/faults/{rule_id}").json()
        assert self._http.delete(f"/faults/{rule_id}").status_code == 204
        return rule

    def close(self) -> None:
        """Give back the connection."""
        self._http.close()


def partner_subject(caller: Caller, rules: Rules, partner: Json) -> Subject:
    """A connected partner, whose token alone is struck."""
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
    """An integration whose own token is struck; partners stand where users stand else."""
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
    """Somebody joins, leaves, takes another name or may do something else from now on."""
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
    """A partner takes another name, a new one comes, one that came ends it."""
    partners = [p for p in meta.partners().values() if p["relationship"] != "none"]
    chosen = dice.choice(partners)
    meta.mutate("rename", id=chosen["id"], name=f"Renamed {dice.randrange(10**6)}")
    if len(partners) > 8:
        meta.mutate("end_partnership", partner=partners[-1]["id"])
    else:
        meta.mutate("new_partner", relationship=dice.choice(("agency", "client")))
