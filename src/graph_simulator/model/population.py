"""The people of a business, its system users, its asset groups and its open invitations."""

from graph_simulator.model import dice, names
from graph_simulator.model.records import Asset, Business, Invite, Person, SystemUser, Tasks
from graph_simulator.model.registry import World
from graph_simulator.model.vocabulary import AssetKind

DAY = 86_400
ROLES = (
    "ADMIN",
    "EMPLOYEE",
    "EMPLOYEE",
    "FINANCE_EDITOR",
    "EMPLOYEE",
    "FINANCE_ANALYST",
    "DEVELOPER",
)
TWO_FAC = ("enabled", "disabled", "not_required", None)
PEOPLE_WITHOUT_ACCESS = 3
QUIRKS_FROM = 6
GROUPS_FROM = 4


def add_system_users(world: World, business: Business) -> tuple[SystemUser, SystemUser]:
    """One admin and one employee system user, as Meta allows a business to have."""
    admin, employee = (
        world.add_system_user(
            SystemUser(
                id=world.new_id("61"),
                name=f"{business.name} {what}",
                business_id=business.id,
                role=role,
                created_at=world.now - 200 * DAY,
            )
        )
        for what, role in (("connector", "ADMIN"), ("reporting", "EMPLOYEE"))
    )
    return admin, employee


def add_people(
    world: World, business: Business, shared: list[Asset], unshared: list[Asset], users: int
) -> None:
    """`users` people with access to something shared, then a few without any.

    The quirks a client must survive are always on the same places: the second person has no
    e-mail address, the third a name outside ASCII, the fourth comes only through a group
    (`add_groups`), the fifth holds a task nobody documents, the sixth is named like a formula.
    """
    for place in range(users):
        person = new_person(world, business, place)
        _add_quirk(person, place, users)
        if shared and not _comes_through_group(place, users):
            _assign_some(world, person, shared, place)
    for place in range(PEOPLE_WITHOUT_ACCESS):
        person = new_person(world, business, users + place)
        if place == 0:
            world.assign(person, unshared[0], unshared[0].levels[-1])


def new_person(world: World, business: Business, place: int) -> Person:
    person_id = world.new_id("12")
    first = dice.choose(names.FIRST_NAMES, person_id, "first")
    last = dice.choose(names.LAST_NAMES, person_id, "last")
    role = ROLES[place % len(ROLES)]
    domain = business.name.lower().replace(" ", "-")
    return world.add_person(
        Person(
            id=person_id,
            name=f"{first} {last}",
            business_id=business.id,
            role=role,
            created_at=world.now - 300 * DAY,
            finance_permission=role.removeprefix("FINANCE_") if "FINANCE" in role else None,
            first_name=first,
            last_name=last,
            email=f"{first}.{last}.{place + 1}@{domain}.example.com".lower(),
            title=dice.choose(names.TITLES, person_id, "title"),
            two_fac_status=TWO_FAC[place % len(TWO_FAC)],
        )
    )


def _add_quirk(person: Person, place: int, users: int) -> None:
    if users < QUIRKS_FROM:
        return
    if place == 1:
        person.email = None
    elif place == 2:  # noqa: PLR2004 - the places are listed in add_people
        person.first_name, person.last_name = names.UNICODE_NAME
        person.name = " ".join(names.UNICODE_NAME)
    elif place == 5:  # noqa: PLR2004
        person.name = person.first_name = names.FORMULA_NAME
        person.last_name = ""


def _comes_through_group(place: int, users: int) -> bool:
    return users >= GROUPS_FROM and place == GROUPS_FROM - 1


def _assign_some(world: World, person: Person, shared: list[Asset], place: int) -> None:
    """Each asset gets somebody, most people get two or three."""
    chosen = {place % len(shared)}
    chosen.update(
        dice.number(person.id, "also", extra) % len(shared)
        for extra in range(dice.number(person.id, "extras") % 3)
    )
    for index in sorted(chosen):
        asset = shared[index]
        tasks = dice.choose(asset.levels, person.id, asset.id)
        if place == 4:  # noqa: PLR2004
            tasks = (*tasks, names.UNKNOWN_TASK)
        world.assign(person, asset, tasks)


def add_groups(world: World, business: Business, shared: list[Asset], users: int) -> None:
    """One person reaches an asset through a business asset group and in no other way."""
    if users < GROUPS_FROM or not shared:
        return
    person = list(business.people.values())[GROUPS_FROM - 1]
    group = world.new_group(business, f"{business.name} launch")
    asset = shared[0]
    world.put_in_group(group, asset)
    tasks: dict[AssetKind, Tasks] = {asset.kind: asset.levels[1]}
    world.join_group(group, person, tasks)


def add_invites(world: World, business: Business) -> None:
    domain = business.name.lower().replace(" ", "-")
    for who, status, days in (("newcomer", "PENDING", 20), ("latecomer", "EXPIRED", -3)):
        world.add_invite(
            Invite(
                id=world.new_id("44"),
                email=f"{who}@{domain}.example.com",
                role="EMPLOYEE",
                status=status,
                business_id=business.id,
                created_at=world.now - 10 * DAY,
                expires_at=world.now + days * DAY,
            )
        )
