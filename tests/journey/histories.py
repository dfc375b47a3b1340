"""Random histories: Meta changes and hides data, and each check must show the truth.

`python -m tests.journey.histories --rounds 100 --seed 7` plays a long one on a product of its own,
with `--postgresql` on one of separate processes.
"""

import argparse
import os
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.journey import truth
from tests.journey.caller import Caller, at_once
from tests.journey.campaign import differing, untrue_or_lost
from tests.journey.drift import Drift
from tests.journey.meta import Json
from tests.journey.replay import replay, shown
from tests.journey.restrictions import SILENT, Restrictor
from tests.journey.stacks import Stack, embedded_stack, separate_stack
from tests.support.databases import PostgresTemplate, postgres_server

_TWO_FACTOR = {"enabled": "on", "disabled": "off"}


class History:
    """Customer over many checks, whose partners are connected as soon as they are listed."""

    def __init__(self, caller: Caller, seed: int) -> None:
        self.caller = caller
        self.seed = seed
        self.wrong: list[str] = []
        self.dice = random.Random(f"{seed} history")  # noqa: S311 - guards nothing
        self._feed: list[Json] = []
        self._connected: dict[str, Json] = {}
        self._ids: dict[tuple[str, str], str] = {}
        self.integration, _ = caller.discover()
        self.drift = Drift(caller.meta, self.dice)
        self._restrictor = Restrictor(caller.meta, self.dice)
        self._connect_all()

    def play(self, rounds: int) -> None:
        """Play so many rounds; violations are in `wrong`."""
        for number in range(1, rounds + 1):
            struck = []
            made = self.drift.change()
            if self.dice.random() < 0.5:
                struck = self._restrictor.strike()
            self._check(f"{self.seed}/{number}", made, struck)
            if struck and self.dice.random() < 0.7:
                self._restrictor.heal()
                self._check(f"{self.seed}/{number} healed", [], [])
            self._restrictor.heal()
            self._connect_all()

    def _check(self, name: str, made: Sequence[str], struck: Sequence[str]) -> None:
        before = {key: self._shown(partner) for key, partner in self._connected.items()}
        left = {key: self._shown(one, state="removed") for key, one in self._connected.items()}
        listed = set(self.caller.partners(presence="listed"))
        job = self.caller.check(self.integration, seconds=60)
        children = self.caller.children(job)
        complete = [child for child in children.values() if not child["partial"]]
        print(f"{name}: {len(complete)} of {len(children)} complete; {[*made, *struck]}")
        found = [f"tried again: {one}" for one in (job, *children.values()) if one["attempt"] != 1]
        found += self._of_listing(job, listed)
        # Where our list was refused, a partner's shares with us may be unknown, too.
        sees_news = not job["warnings"] and SILENT.isdisjoint(struck)
        for key, partner in self._connected.items():
            child = children.get(partner["id"])
            if child is not None:
                found += self._of_partner(
                    partner, child, before[key], left[key], sees_news=sees_news
                )
            elif self.caller.partner(partner)["user_count"]:
                found.append(f"{partner['name']} was not checked")
        found += [*self._of_feed(), *self._of_people()]
        wrong = [f"{name}: {one}" for one in found]
        print(*wrong, sep="\n", end="\n" if wrong else "")
        self.wrong += wrong

    def _of_listing(self, job: Json, before: set[str]) -> list[str]:
        """Return wrong partners; a partly refused list must retire no partner."""
        true = {
            key: (one["name"], one["relationship"])
            for key, one in self.caller.meta.partners().items()
            if one["relationship"] != "none"
        }
        listed = self.caller.partners(presence="listed")
        if job["warnings"]:
            return [f"{key} is retired by a refused list" for key in before - listed.keys()]
        found = {key: (one["name"], one["relationship"]) for key, one in listed.items()}
        counts = (job["counts"][name] for name in ("seen", "removed"))
        reported, wanted = tuple(counts), (len(true), len(before - true.keys()))
        wrong = [] if reported == wanted else [f"partners counted as {reported}, not {wanted}"]
        return wrong if found == true else [*wrong, f"partners are {found}, not {true}"]

    def _of_partner(
        self, partner: Json, child: Json, before: Json, left: Json, *, sees_news: bool
    ) -> list[str]:
        known = self.caller.meta.partner(partner["meta_business_id"])
        after, true = self._shown(partner), _users(known)
        whose = known["name"]
        # A user who returns is known as well as one who never left.
        back = {key: left[key] for key in left.keys() & after.keys()}
        if child["partial"] or not sees_news:
            found = untrue_or_lost(before | back, after, true)
            if child["partial"] and (child["counts"]["removed"] or not child["warnings"]):
                found.append(f"a partial check reported {child['counts']} and {child['warnings']}")
            return [f"{whose}: {one}" for one in found]
        found = [] if after == true else [f"users {differing(after, true)}"]
        wanted = _counts(before, true)
        if child["counts"] != wanted:
            found.append(f"counted {child['counts']}, not {wanted}")
        return [f"{whose}: {one}" for one in [*found, *self._of_shares(partner, known)]]

    def _of_shares(self, partner: Json, known: Json) -> list[str]:
        shared = self.caller.everything(f"/v1/partners/{partner['id']}/assets", page_size=100)
        shown_assets, true = truth.shown_assets(shared), truth.assets(known)
        found = [] if shown_assets == true else [f"assets {differing(shown_assets, true)}"]
        now = self.caller.partner(partner)
        reported = {
            "presence": now["presence"] == "listed",
            "users": now["user_count"],
            "others": now["people_without_access_count"],
            "assets": now["shared_asset_counts"],
        }
        wanted = {
            "presence": known["relationship"] != "none",
            "users": len(truth.users(known)),
            "others": truth.people_not_stored(known),
            "assets": truth.asset_counts(known),
        }
        return (
            found if reported == wanted else [*found, f"the partner says {reported}, not {wanted}"]
        )

    def _of_feed(self) -> list[str]:
        """Return differences between the replayed feed and the shown state."""
        last = self._feed[-1]["sequence"] if self._feed else 0
        self._feed += self.caller.everything("/v1/changes", after=last, page_size=100)
        replayed, known = replay(self._feed), self.caller.partners()
        users = self.caller.everything(
            "/v1/partner-users", state="active", expand="grants", page_size=100
        )
        shares = {
            (one["id"], asset["id"])
            for one in known.values()
            for asset in self.caller.everything(f"/v1/partners/{one['id']}/assets", page_size=100)
        }
        listed = {one["id"] for one in known.values() if one["presence"] == "listed"}
        wrong = [f"feed: {one}" for one in replayed.wrong]
        if replayed.shown() != shown(users):
            wrong.append(f"feed: users {differing(replayed.shown(), shown(users))}")
        if (set(replayed.shares), replayed.partners) != (shares, listed):
            wrong.append("feed: other shares or partners than are shown")
        return wrong

    def _of_people(self) -> list[str]:
        """Return changed or shared user ids, and wrong token holders."""
        found = []
        all_users = self.caller.everything("/v1/partner-users", page_size=100)
        for user in all_users:
            key = (user["partner_id"], user["meta_user_id"])
            if self._ids.setdefault(key, user["id"]) != user["id"]:
                found.append(f"{user['id']} was {self._ids[key]}")
        if len({user["id"] for user in all_users}) != len(all_users):
            found.append("two users have one id")
        holders = {
            (user["partner_id"], user["meta_user_id"])
            for user in all_users
            if user["is_token_holder"]
        }
        meta = self.caller.meta.partners()
        wanted = {
            (one["id"], meta[key]["system_user"]["id"]) for key, one in self._connected.items()
        }
        if holders != wanted:
            found.append(f"our tokens are held by {holders}, not by {wanted}")
        return found

    def _connect_all(self) -> None:
        """Connect all listed partners, several at a time, so that first checks run in parallel."""
        listed = self.caller.partners(presence="listed")
        new = [listed[key] for key in sorted(listed.keys() - self._connected.keys())]
        if new:
            connected = at_once(self.caller.connected, new)
            self._connected |= {one["meta_business_id"]: one for one in connected}
        first = self.caller.everything("/v1/sync-jobs", trigger="connect", page_size=100)
        self.wrong += [f"tried again: {job}" for job in first if job["attempt"] != 1]

    def _shown(self, partner: Json, state: str = "active") -> dict[str, Json]:
        users = self.caller.users(partner, state=state, page_size=100)
        found = truth.shown_users(users)
        for user in users:
            shown_user = found[user["meta_user_id"]]
            shown_user["finance_permission"] = user["finance_permission"]
            shown_user["two_factor"] = (
                None if user["two_factor"] == "unknown" else user["two_factor"]
            )
        return found


def _users(partner: Json) -> dict[str, Json]:
    """Return `truth.users` with every fact that a change can be about."""
    people = {person["id"]: person for person in partner["people"]}
    found = truth.users(partner)
    for user_id, user in found.items():
        person = people.get(user_id, {})
        user["two_factor"] = _TWO_FACTOR.get(person.get("two_fac_status") or "")
        user["finance_permission"] = person.get("finance_permission")
    return found


def _counts(before: dict[str, Json], after: dict[str, Json]) -> dict[str, int]:
    changed = sum(after[key] != before[key] for key in before.keys() & after.keys())
    added = len(after.keys() - before.keys())
    return {
        "seen": len(after),
        "added": added,
        "changed": changed,
        "removed": len(before.keys() - after.keys()),
        "unchanged": len(after) - added - changed,
    }


@contextmanager
def _product(directory: Path, *, with_postgresql: bool) -> Iterator[Stack]:
    """Run a new product: one process on SQLite, or an API and two workers on PostgreSQL."""
    (directory / "product").mkdir()
    if not with_postgresql:
        with embedded_stack(directory / "product") as stack:
            yield stack
        return
    with (
        postgres_server(directory / "server", os.environ.get("TEST_POSTGRES_URL")) as server_url,
        PostgresTemplate(server_url).empty() as database_url,
        separate_stack(directory / "product", database_url) as stack,
    ):
        yield stack


def main() -> int:
    """Play one history and print it; return 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true", help="as separate processes")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="histories-", ignore_cleanup_errors=True) as directory,
        _product(Path(directory), with_postgresql=asked.postgresql) as stack,
        stack.caller() as caller,
    ):
        history = History(caller, asked.seed)
        history.play(asked.rounds)
    print(*history.wrong or ["nothing is wrong"], sep="\n")
    return 1 if history.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
