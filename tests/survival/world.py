"""Random changes at Meta between two checks, from a seed."""

import random
from collections.abc import Callable

from tests.journey import truth
from tests.journey.meta import Json, Meta

ROLES = ("ADMIN", "EMPLOYEE", "FINANCE_EDITOR", "DEVELOPER", "NEW_ROLE_OF_META")


class ChangingWorld:
    """People who join, leave, return and change; assets that are shared and unshared."""

    def __init__(self, meta: Meta, seed: int) -> None:
        self.meta = meta
        self.dice = random.Random(f"{seed} world")  # noqa: S311 - guards nothing
        self._away: list[tuple[str, str, list[str]]] = []

    def change(self, partner_ids: list[str]) -> int:
        """Change each partner one to three times, let some users return; return the count."""
        made = self._come_back()
        partners = self.meta.partners()
        for business_id in partner_ids:
            for act in self.dice.sample(_ACTS, self.dice.randint(1, 3)):
                act(self, partners[business_id])
                made += 1
                partners = self.meta.partners()
        return made

    def _come_back(self) -> int:
        """Give some users access again, under the same id in Meta."""
        still_there = {
            person["id"]
            for partner in self.meta.partners().values()
            for person in partner["people"]
        }
        # People who have left the business meanwhile cannot return.
        self._away = [who for who in self._away if who[0] in still_there]
        back = [who for who in self._away if self.dice.random() < 0.5]
        for who in back:
            self._away.remove(who)
            person, asset, tasks = who
            self.meta.mutate("change_tasks", person=person, asset=asset, tasks=tasks)
        return len(back)

    def _join(self, partner: Json) -> None:
        asset = self.dice.choice(partner["shared_assets"])
        self.meta.mutate("join", partner=partner["id"], assets=[asset["id"]])

    def _leave(self, partner: Json) -> None:
        self.meta.mutate("leave", person=self._some_person(partner))

    def _go_away(self, partner: Json) -> None:
        """Remove the person's assignments, but not the person from the business."""
        person = self._some_person(partner)
        assigned = _assigned_to(person, partner)
        for asset_id in assigned:
            self.meta.mutate("change_tasks", person=person, asset=asset_id, tasks=[])
        self._away += [(person, *one) for one in list(assigned.items())[:1]]

    def _move_to_group(self, partner: Json) -> None:
        """Replace an assignment by access through a group."""
        person = self._some_person(partner)
        for asset_id in list(_assigned_to(person, partner))[:1]:
            self.meta.mutate("move_to_group", person=person, asset=asset_id)

    def _rename(self, partner: Json) -> None:
        name = f"Renamed {self.dice.randrange(10**9)}"
        self.meta.mutate("rename", id=self._some_person(partner), name=name)

    def _change_role(self, partner: Json) -> None:
        person = self._some_person(partner)
        self.meta.mutate("change_role", person=person, role=self.dice.choice(ROLES))

    def _change_email(self, partner: Json) -> None:
        address = f"new.{self.dice.randrange(10**9)}@example.com"
        self.meta.mutate("change_email", person=self._some_person(partner), email=address)

    def _change_two_factor(self, partner: Json) -> None:
        status = self.dice.choice(("on", "off", None))
        person = self._some_person(partner)
        self.meta.mutate("change_two_factor", person=person, two_fac_status=status)

    def _change_tasks(self, partner: Json) -> None:
        person, asset = self._some_person(partner), self.dice.choice(partner["shared_assets"])
        allowed = asset["permitted_tasks"]
        tasks = self.dice.sample(allowed, self.dice.randint(1, len(allowed)))
        self.meta.mutate("change_tasks", person=person, asset=asset["id"], tasks=tasks)

    def _share(self, partner: Json) -> None:
        kind = self.dice.choice(truth.TYPES)
        asset = self.meta.mutate("share", partner=partner["id"], type=kind)["asset"]
        shared = self.meta.partner(partner["id"])["shared_assets"]
        tasks = next(item["permitted_tasks"] for item in shared if item["id"] == asset)
        person = self._some_person(partner)
        self.meta.mutate("change_tasks", person=person, asset=asset, tasks=tasks[:1])

    def _unshare(self, partner: Json) -> None:
        provable = [asset for asset in partner["shared_assets"] if not _is_our_page(asset)]
        if len(provable) > 2:
            asset = self.dice.choice(provable)
            self.meta.mutate("unshare", partner=partner["id"], asset=asset["id"])
            self._away = [who for who in self._away if who[1] != asset["id"]]

    def _some_person(self, partner: Json) -> str:
        """Return a person with access; add one where the partner has few."""
        users = truth.users(partner)
        people = [key for key, user in sorted(users.items()) if user["kind"] == "person"]
        if len(people) < 3:
            person: str = self.meta.mutate("join", partner=partner["id"])["person"]
            partner.update(self.meta.partner(partner["id"]))
            return person
        return self.dice.choice(people)


def _assigned_to(person: str, partner: Json) -> dict[str, list[str]]:
    """Return the tasks of directly assigned shared assets."""
    return {
        asset["id"]: row["tasks"]
        for asset in partner["shared_assets"]
        for row in asset["people"]
        if row["id"] == person and row["via"] == "direct"
    }


def _is_our_page(asset: Json) -> bool:
    """Return whether this is a Page of ours.

    Meta shows whom a Page is shared with only to a Page token, and our own token has none. So the
    end of the share cannot be verified, and the check is correctly partial.
    """
    return bool(asset["type"] == "page" and asset["direction"] == "ours_shared_to_partner")


_ACTS: tuple[Callable[[ChangingWorld, Json], None], ...] = (
    ChangingWorld._join,
    ChangingWorld._leave,
    ChangingWorld._go_away,
    ChangingWorld._move_to_group,
    ChangingWorld._rename,
    ChangingWorld._change_role,
    ChangingWorld._change_email,
    ChangingWorld._change_two_factor,
    ChangingWorld._change_tasks,
    ChangingWorld._share,
    ChangingWorld._unshare,
)
