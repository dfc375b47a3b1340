"""Random changes at Meta between two checks for updates.

None of them changes the partner's token: narrowed tokens have tests of their own.
"""

import random
from collections.abc import Callable

from tests.journey import truth
from tests.journey.deck import Deck
from tests.journey.meta import Json, Meta

ROLES = ("ADMIN", "EMPLOYEE", "FINANCE_EDITOR", "DEVELOPER", "A_ROLE_OF_TOMORROW")
TWO_FACTOR = ("enabled", "disabled", "not_required", None)
_FEWEST_PEOPLE = 3
_FEWEST_ASSETS = 3
_MOST_PARTNERS = 6


class Drift:
    """People who join, leave, return and change; changing shares, groups and partnerships."""

    def __init__(self, meta: Meta, dice: random.Random) -> None:
        self.meta = meta
        self.dice = dice
        self._away: list[tuple[str, str, list[str]]] = []
        self._of_people = Deck(dice, _PEOPLE_CHANGES)
        self._of_partners = Deck(dice, _PARTNER_CHANGES)
        self._open_our_pages(meta.partners())

    def change(self) -> list[str]:
        """Change each partner one to three times, and sometimes a partnership; return the names.

        Some users who have lost all access get it back.
        """
        made = self._come_back()
        for business_id in self.meta.partners():
            for _ in range(self.dice.randint(1, 3)):
                partner = self.meta.partner(business_id)
                if partner["shared_assets"]:
                    act = self._of_people.draw()
                    act(self, partner)
                    made.append(act.__name__)
        if self.dice.random() < 0.5:
            act = self._of_partners.draw()
            act(self, self._some_partner())
            made.append(act.__name__)
        self._open_our_pages(self.meta.partners())
        return made

    def _open_our_pages(self, partners: dict[str, Json]) -> None:
        """Let our system user manage our Pages, which it needs to see that a share has ended."""
        us = self.meta.host()["system_user"]["id"]
        for asset in (asset for one in partners.values() for asset in one["shared_assets"]):
            if asset["type"] == "page" and asset["direction"] == "ours_shared_to_partner":
                self.meta.mutate("change_tasks", person=us, asset=asset["id"], tasks=["MANAGE"])

    def _come_back(self) -> list[str]:
        """Give some users access again under the same id in Meta."""
        back = [who for who in self._away if self.dice.random() < 0.4]
        self._away = [who for who in self._away if who not in back]
        can_be_given = {
            (person, asset)
            for one in self.meta.partners().values()
            for person in _ids(one["people"])
            for asset in _ids(one["shared_assets"])
        }
        for person, asset, tasks in back:
            if (person, asset) in can_be_given:
                self._give(person, asset, tasks)
        return ["_come_back"] * len(back)

    # People

    def _join(self, partner: Json) -> None:
        self.meta.mutate("join", partner=partner["id"], assets=self._one_or_two(partner))

    def _join_from_another_partner(self, partner: Json) -> None:
        """Add a person of another partner: two ids, with the same name and address."""
        other = self._some_partner()
        person = self.dice.choice(other["people"] or partner["people"])
        facts = {"name": person["name"], "email": person["email"], "role": person["role"]}
        asset = self.dice.choice(_ids(partner["shared_assets"]))
        self.meta.mutate("join", partner=partner["id"], assets=[asset], **facts)

    def _leave(self, partner: Json) -> None:
        self.meta.mutate("leave", person=self._some_person(partner))

    def _lose_everything(self, partner: Json) -> None:
        """Remove all access of a person who stays in the business."""
        person = self._some_person(partner)
        for group in partner["asset_groups"]:
            if person in group["members"]:
                self.meta.mutate("leave_group", person=person, group=group["id"])
        for asset in partner["shared_assets"]:
            for row in asset["people"]:
                if (row["id"], row["via"]) == (person, "direct"):
                    self._give(person, asset["id"], [])
                    self._away.append((person, asset["id"], row["tasks"]))

    def _rename(self, partner: Json) -> None:
        name = f"Renamed {self.dice.randrange(10**9)}"
        self.meta.mutate("rename", id=self._some_person(partner), name=name)

    def _change_email(self, partner: Json) -> None:
        address = self.dice.choice((None, f" New.{self.dice.randrange(10**9)}@Example.com "))
        self.meta.mutate("change_email", person=self._some_person(partner), email=address)

    def _change_role(self, partner: Json) -> None:
        person = self._some_person(partner)
        self.meta.mutate("change_role", person=person, role=self.dice.choice(ROLES))

    def _change_two_factor(self, partner: Json) -> None:
        person, status = self._some_person(partner), self.dice.choice(TWO_FACTOR)
        self.meta.mutate("change_two_factor", person=person, two_fac_status=status)

    def _change_tasks(self, partner: Json) -> None:
        """Change a person's tasks, also on an asset that the person had no access to."""
        asset = self.dice.choice(partner["shared_assets"])
        tasks = self._few(asset["permitted_tasks"])
        if tasks and self.dice.random() < 0.1:
            tasks.append("A_TASK_OF_TOMORROW")
        self._give(self._some_person(partner), asset["id"], tasks)

    def _change_the_employee_system_user(self, partner: Json) -> None:
        robot = partner["employee_system_user"]
        asset = self.dice.choice(partner["shared_assets"])
        if robot is not None:
            self._give(robot["id"], asset["id"], self._few(asset["permitted_tasks"]))
            name = f"Robot {self.dice.randrange(10**9)}"
            self.meta.mutate("rename", id=robot["id"], name=name)

    def _join_group(self, partner: Json) -> None:
        """Add a person to a group with shared and unshared assets."""
        assets = self._one_or_two(partner) + _ids(partner["unshared_assets"])[:1]
        self.meta.mutate("join_group", person=self._some_person(partner), assets=assets)

    def _leave_group(self, partner: Json) -> None:
        places = [(who, one["id"]) for one in partner["asset_groups"] for who in one["members"]]
        if places:
            person, group = self.dice.choice(places)
            self.meta.mutate("leave_group", person=person, group=group)

    def _move_to_group(self, partner: Json) -> None:
        asset = self.dice.choice(_ids(partner["shared_assets"]))
        self.meta.mutate("move_to_group", person=self._some_person(partner), asset=asset)

    # Shares

    def _share(self, partner: Json) -> None:
        """Share a new asset in either direction, which may change the relationship."""
        direction = self.dice.choice(("ours_shared_to_partner", "theirs_shared_to_us"))
        kind = self.dice.choice(truth.TYPES)
        made = self.meta.mutate("share", partner=partner["id"], type=kind, direction=direction)
        now = self.meta.partner(partner["id"])
        asset = next(one for one in now["shared_assets"] if one["id"] == made["asset"])
        self._give(self._some_person(now), asset["id"], asset["permitted_tasks"][:1])

    def _share_with_another(self, partner: Json) -> None:
        """Share one new asset of ours with two partners, whose next checks both find it."""
        kind, other = self.dice.choice(truth.TYPES), self._some_partner()
        asset = self.meta.mutate("share", partner=partner["id"], type=kind)["asset"]
        if other["id"] != partner["id"]:
            self.meta.mutate("share", partner=other["id"], asset=asset)

    def _unshare(self, partner: Json) -> None:
        assets = _ids(partner["shared_assets"])
        if len(assets) > _FEWEST_ASSETS:
            self.meta.mutate("unshare", partner=partner["id"], asset=self.dice.choice(assets))

    def _change_permitted_tasks(self, partner: Json) -> None:
        asset = self.dice.choice(partner["shared_assets"])
        tasks = asset["permitted_tasks"]
        kept = tasks[: self.dice.randint(1, len(tasks))]
        self.meta.mutate(
            "change_permitted_tasks", partner=partner["id"], asset=asset["id"], tasks=kept
        )

    # Partners

    def _end_partnership(self, partner: Json) -> None:
        """End all shares; the partner keeps its people and assets."""
        self.meta.mutate("end_partnership", partner=partner["id"])

    def _restart_partnerships(self, _partner: Json) -> None:
        """Share an asset with each partner that is not listed."""
        for one in self.meta.partners().values():
            if one["relationship"] == "none" and one["people"]:
                self._share(one)

    def _new_partner(self, _partner: Json) -> None:
        if len(self.meta.partners()) < _MOST_PARTNERS:
            kind = self.dice.choice(("agency", "client", "both"))
            self.meta.mutate("new_partner", relationship=kind, assets=4, users=5)

    def _rename_partner(self, partner: Json) -> None:
        name = f"Partner {self.dice.randrange(10**9)}"
        self.meta.mutate("rename", id=partner["id"], name=name)

    def _some_partner(self) -> Json:
        return self.dice.choice(list(self.meta.partners().values()))

    def _one_or_two(self, partner: Json) -> list[str]:
        shared = _ids(partner["shared_assets"])
        return self.dice.sample(shared, min(len(shared), self.dice.randint(1, 2)))

    def _few(self, tasks: list[str]) -> list[str]:
        """Return at most two of the tasks."""
        return self.dice.sample(tasks, min(len(tasks), self.dice.randint(0, 2)))

    def _give(self, person: str, asset: str, tasks: list[str]) -> None:
        self.meta.mutate("change_tasks", person=person, asset=asset, tasks=tasks)

    def _some_person(self, partner: Json) -> str:
        """Return a person of the business; add one where it has few."""
        people = _ids(self.meta.partner(partner["id"])["people"])
        if len(people) < _FEWEST_PEOPLE:
            joined: str = self.meta.mutate("join", partner=partner["id"])["person"]
            return joined
        return self.dice.choice(people)


def _ids(found: list[Json]) -> list[str]:
    return [str(one["id"]) for one in found]


Act = Callable[[Drift, Json], None]

_PEOPLE_CHANGES: tuple[Act, ...] = (
    Drift._join,
    Drift._join_from_another_partner,
    Drift._leave,
    Drift._lose_everything,
    Drift._rename,
    Drift._change_email,
    Drift._change_role,
    Drift._change_two_factor,
    Drift._change_tasks,
    Drift._change_the_employee_system_user,
    Drift._join_group,
    Drift._leave_group,
    Drift._move_to_group,
    Drift._share,
    Drift._share_with_another,
    Drift._unshare,
    Drift._change_permitted_tasks,
)
_PARTNER_CHANGES: tuple[Act, ...] = (
    Drift._end_partnership,
    Drift._restart_partnerships,
    Drift._new_partner,
    Drift._rename_partner,
)
