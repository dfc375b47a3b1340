"""People and system users come, go and change."""

from graph_simulator.control import mutation_book as book
from graph_simulator.control.mutation_book import MutationError, Wanted, mutation
from graph_simulator.model.population import new_person
from graph_simulator.model.records import Invite
from graph_simulator.model.registry import World

DAY = 86_400


@mutation("partner, assets? (ids; the first shared one), tasks?, name?, email?, role? → person")
def join(world: World, wanted: Wanted) -> Wanted:
    business = book.business(world, wanted)
    shared = world.shared_with(business)
    chosen = wanted.get("assets")
    assets = shared[:1] if chosen is None else [book.asset_by_id(world, str(one)) for one in chosen]
    person = new_person(world, business, len(business.people))
    person.name = str(wanted.get("name", person.name))
    person.role = str(wanted.get("role", "EMPLOYEE"))
    if "email" in wanted:
        person.email = wanted["email"]
    for asset in assets:
        given = book.tasks(wanted) if "tasks" in wanted else asset.levels[0]
        world.assign(person, asset, given)
    return {"person": person.id, "name": person.name, "assets": [asset.id for asset in assets]}


@mutation("person: leaves its business")
def leave(world: World, wanted: Wanted) -> Wanted:
    member = book.member(world, wanted)
    world.remove_member(member)
    return {"person": member.id}


@mutation("id (person, system user, asset or business), name")
def rename(world: World, wanted: Wanted) -> Wanted:
    record_id = book.text(wanted, "id").removeprefix("act_")
    for records in (world.members, world.assets, world.businesses):
        record = records.get(record_id)
        if record is not None:
            record.name = book.text(wanted, "name")
            return {"id": record_id, "name": record.name}
    raise MutationError("nothing has this id")


@mutation("person (or system user), asset, tasks: [] takes the asset away")
def change_tasks(world: World, wanted: Wanted) -> Wanted:
    member, asset = book.member(world, wanted), book.asset(world, wanted)
    tasks = book.tasks(wanted)
    before = member.assigned.get(asset.id, ())
    if tasks:
        world.assign(member, asset, tasks)
    else:
        world.unassign(member, asset)
    return {"person": member.id, "asset": asset.id, "before": list(before), "tasks": list(tasks)}


@mutation("person (or system user), role")
def change_role(world: World, wanted: Wanted) -> Wanted:
    member = book.member(world, wanted)
    before, member.role = member.role, book.text(wanted, "role")
    return {"person": member.id, "before": before, "role": member.role}


@mutation("person, email: text or null")
def change_email(world: World, wanted: Wanted) -> Wanted:
    person = book.person(world, wanted)
    before, person.email = person.email, wanted.get("email")
    return {"person": person.id, "before": before, "email": person.email}


@mutation("person, two_fac_status: text or null")
def change_two_factor(world: World, wanted: Wanted) -> Wanted:
    person = book.person(world, wanted)
    before, person.two_fac_status = person.two_fac_status, wanted.get("two_fac_status")
    return {"person": person.id, "before": before, "two_fac_status": person.two_fac_status}


@mutation("partner, email → an open invitation")
def invite(world: World, wanted: Wanted) -> Wanted:
    business = book.business(world, wanted)
    made = world.add_invite(
        Invite(
            id=world.new_id("44"),
            email=book.text(wanted, "email"),
            role=str(wanted.get("role", "EMPLOYEE")),
            status="PENDING",
            business_id=business.id,
            created_at=world.now,
            expires_at=world.now + 30 * DAY,
        )
    )
    return {"invite": made.id}


@mutation("person, asset: reaches it through a new business asset group, not directly")
def move_to_group(world: World, wanted: Wanted) -> Wanted:
    person, asset = book.person(world, wanted), book.asset(world, wanted)
    tasks = world.tasks_of(person, asset) or asset.levels[0]
    world.unassign(person, asset)
    group = world.new_group(world.businesses[person.business_id], "made by a test")
    world.put_in_group(group, asset)
    world.join_group(group, person, {asset.kind: tasks})
    return {"person": person.id, "group": group.id, "tasks": list(tasks)}


@mutation(
    "person (or system user), assets (ids), tasks? (the least of each kind): is in a new business "
    "asset group that holds these → group"
)
def join_group(world: World, wanted: Wanted) -> Wanted:
    member = book.member(world, wanted)
    assets = [book.asset_by_id(world, str(one)) for one in wanted.get("assets", ())]
    group = world.new_group(world.businesses[member.business_id], "made by a test")
    for asset in assets:
        world.put_in_group(group, asset)
    given = book.tasks(wanted) if "tasks" in wanted else None
    world.join_group(group, member, {asset.kind: given or asset.levels[0] for asset in assets})
    return {"person": member.id, "group": group.id, "assets": [asset.id for asset in assets]}


@mutation("person (or system user), group: is in it no more")
def leave_group(world: World, wanted: Wanted) -> Wanted:
    member, group = book.member(world, wanted), book.group(world, wanted)
    if member.id not in group.members:
        raise MutationError("person is not in this group")
    world.leave_group(group, member)
    return {"person": member.id, "group": group.id}


@mutation("partner, system_user? (the admin): becomes an EMPLOYEE")
def downgrade_system_user(world: World, wanted: Wanted) -> Wanted:
    return _set_role(world, wanted, "EMPLOYEE")


@mutation("partner, system_user? (the admin): becomes an ADMIN again")
def upgrade_system_user(world: World, wanted: Wanted) -> Wanted:
    return _set_role(world, wanted, "ADMIN")


@mutation("partner, system_user? (the admin): is deleted, and its tokens die")
def remove_system_user(world: World, wanted: Wanted) -> Wanted:
    member = book.system_user(world, wanted)
    world.remove_member(member)
    return {"system_user": member.id}


def _set_role(world: World, wanted: Wanted, role: str) -> Wanted:
    member = book.system_user(world, wanted)
    before, member.role = member.role, role
    return {"system_user": member.id, "before": before, "role": role}
