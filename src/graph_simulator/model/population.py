"""The people of a business, its system users, its asset groups and its pending invites."""

from graph_simulator.model import names, seeded
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
MIN_USERS_FOR_QUIRKS = 6
MIN_USERS_FOR_GROUPS = 4


def add_system_users(world: World, business: Business) -> tuple[SystemUser, SystemUser]:
    """Add one admin and one employee system user."""
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
    """Add `users` people with access to shared assets, then a few people without access.

    From four users on, the fourth person has access through a group only (`add_groups`). With
    `World.quirks` the fifth has an undocumented task. With `World.quirks`, from six users on, the
    second has no email address, the third a non-ASCII name, and the name of the sixth is a formula.
    """
    for place in range(users):
        person = new_person(world, business, place)
        if world.quirks:
            _add_quirk(person, place, users)
        if shared and not _has_group_access_only(place, users):
            _assign_some(world, person, shared, place)
    for place in range(PEOPLE_WITHOUT_ACCESS):
        person = new_person(world, business, users + place)
        if place == 0:
            world.assign(person, unshared[0], unshared[0].levels[-1])


def new_person(world: World, business: Business, place: int) -> Person:
    person_id = world.new_id("12")
    first = seeded.choose(names.FIRST_NAMES, person_id, "first")
    last = seeded.choose(names.LAST_NAMES, person_id, "last")
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
            title=seeded.choose(names.TITLES, person_id, "title"),
            two_fac_status=TWO_FAC[place % len(TWO_FAC)],
        )
    )


def _add_quirk(person: Person, place: int, users: int) -> None:
    if users < MIN_USERS_FOR_QUIRKS:
        return
    if place == 1:
        person.email = None
    elif place == 2:  # noqa: PLR2004 - the places are listed in add_people
        person.first_name, person.last_name = names.UNICODE_NAME
        person.name = " ".join(names.UNICODE_NAME)
    elif place == 5:  # noqa: PLR2004
        person.name = person.first_name = names.FORMULA_NAME
        person.last_name = ""


def _has_group_access_only(place: int, users: int) -> bool:
    return users >= MIN_USERS_FOR_GROUPS and place == MIN_USERS_FOR_GROUPS - 1


def _assign_some(world: World, person: Person, shared: list[Asset], place: int) -> None:
    """Assign a person to one to three assets. `place` spreads the people over all assets."""
    chosen = {place % len(shared)}
    chosen.update(
        seeded.number(person.id, "also", extra) % len(shared)
        for extra in range(seeded.number(person.id, "extras") % 3)
    )
    for index in sorted(chosen):
        asset = shared[index]
        tasks = seeded.choose(asset.levels, person.id, asset.id)
        if place == 4 and world.quirks:  # noqa: PLR2004
            tasks = (*tasks, names.UNKNOWN_TASK)
        world.assign(person, asset, tasks)


def add_groups(world: World, business: Business, shared: list[Asset], users: int) -> None:
    """Add a business asset group, through which alone one person has access to an asset."""
    if users < MIN_USERS_FOR_GROUPS or not shared:
        return
    person = list(business.people.values())[MIN_USERS_FOR_GROUPS - 1]
    group = world.new_group(business, f"{business.name} launch")
    asset = shared[0]
    world.put_in_group(group, asset)
    tasks: dict[AssetKind, Tasks] = {asset.kind: asset.levels[1]}
    world.join_group(group, person, tasks)


def add_invites(world: World, business: Business) -> None:
    domain = business.name.lower().replace(" ", "-")
    for name, status, days in (("newcomer", "PENDING", 20), ("latecomer", "EXPIRED", -3)):
        world.add_invite(
            Invite(
                id=world.new_id("44"),
                email=f"{name}@{domain}.example.com",
                role="EMPLOYEE",
                status=status,
                business_id=business.id,
                created_at=world.now - 10 * DAY,
                expires_at=world.now + days * DAY,
            )
        )
