"""Mutations of people and system users."""

from graph_simulator.control import mutation_arguments as arguments
from graph_simulator.control.mutation_arguments import JsonObject, MutationError, mutation
from graph_simulator.model.population import new_person
from graph_simulator.model.records import Invite
from graph_simulator.model.registry import World

DAY = 86_400


@mutation(
    "partner, assets? (ids; default: the first shared asset), tasks?, name?, email?, role?: adds a "
    "person with access → person"
)
def join(world: World, wanted: JsonObject) -> JsonObject:
    business = arguments.business(world, wanted)
    shared = world.shared_with(business)
    chosen = wanted.get("assets")
    assets = (
        shared[:1] if chosen is None else [arguments.asset_by_id(world, str(one)) for one in chosen]
    )
    person = new_person(world, business, len(business.people))
    person.name = str(wanted.get("name", person.name))
    person.role = str(wanted.get("role", "EMPLOYEE"))
    if "email" in wanted:
        person.email = wanted["email"]
    for asset in assets:
        given = arguments.tasks(wanted) if "tasks" in wanted else asset.levels[0]
        world.assign(person, asset, given)
    return {"person": person.id, "name": person.name, "assets": [asset.id for asset in assets]}


@mutation("person (or system user): is removed from its business")
def leave(world: World, wanted: JsonObject) -> JsonObject:
    member = arguments.member(world, wanted)
    world.remove_member(member)
    return {"person": member.id}


@mutation("id (person, system user, asset or business), name: gets this name")
def rename(world: World, wanted: JsonObject) -> JsonObject:
    record_id = arguments.text(wanted, "id").removeprefix("act_")
    for records in (world.members, world.assets, world.businesses):
        record = records.get(record_id)
        if record is not None:
            record.name = arguments.text(wanted, "name")
            return {"id": record_id, "name": record.name}
    raise MutationError("nothing has this id")


@mutation("person (or system user), asset, tasks: gets these tasks; [] removes the assignment")
def change_tasks(world: World, wanted: JsonObject) -> JsonObject:
    member, asset = arguments.member(world, wanted), arguments.asset(world, wanted)
    tasks = arguments.tasks(wanted)
    before = member.assigned.get(asset.id, ())
    if tasks:
        world.assign(member, asset, tasks)
    else:
        world.unassign(member, asset)
    return {"person": member.id, "asset": asset.id, "before": list(before), "tasks": list(tasks)}


@mutation("person (or system user), role: gets this role")
def change_role(world: World, wanted: JsonObject) -> JsonObject:
    member = arguments.member(world, wanted)
    before, member.role = member.role, arguments.text(wanted, "role")
    return {"person": member.id, "before": before, "role": member.role}


@mutation("person, email (text or null): gets this email address")
def change_email(world: World, wanted: JsonObject) -> JsonObject:
    person = arguments.person(world, wanted)
    before, person.email = person.email, wanted.get("email")
    return {"person": person.id, "before": before, "email": person.email}


@mutation("person, two_fac_status (text or null): gets this status")
def change_two_factor(world: World, wanted: JsonObject) -> JsonObject:
    person = arguments.person(world, wanted)
    before, person.two_fac_status = person.two_fac_status, wanted.get("two_fac_status")
    return {"person": person.id, "before": before, "two_fac_status": person.two_fac_status}


@mutation("partner, email, role?: adds a pending invite → invite")
def invite(world: World, wanted: JsonObject) -> JsonObject:
    business = arguments.business(world, wanted)
    made = world.add_invite(
        Invite(
            id=world.new_id("44"),
            email=arguments.text(wanted, "email"),
            role=str(wanted.get("role", "EMPLOYEE")),
            status="PENDING",
            business_id=business.id,
            created_at=world.now,
            expires_at=world.now + 30 * DAY,
        )
    )
    return {"invite": made.id}


@mutation("person, asset: gets access through a new business asset group instead of directly")
def move_to_group(world: World, wanted: JsonObject) -> JsonObject:
    person, asset = arguments.person(world, wanted), arguments.asset(world, wanted)
    tasks = world.tasks_of(person, asset) or asset.levels[0]
    world.unassign(person, asset)
    group = world.new_group(world.businesses[person.business_id], "made by a test")
    world.put_in_group(group, asset)
    world.join_group(group, person, {asset.kind: tasks})
    return {"person": person.id, "group": group.id, "tasks": list(tasks)}


@mutation(
    "person (or system user), assets (ids), tasks? (default: the fewest of each kind): joins a new "
    "business asset group that contains these assets → group"
)
def join_group(world: World, wanted: JsonObject) -> JsonObject:
    member = arguments.member(world, wanted)
    assets = [arguments.asset_by_id(world, str(one)) for one in wanted.get("assets", ())]
    group = world.new_group(world.businesses[member.business_id], "made by a test")
    for asset in assets:
        world.put_in_group(group, asset)
    given = arguments.tasks(wanted) if "tasks" in wanted else None
    world.join_group(group, member, {asset.kind: given or asset.levels[0] for asset in assets})
    return {"person": member.id, "group": group.id, "assets": [asset.id for asset in assets]}


@mutation("person (or system user), group: is removed from this group")
def leave_group(world: World, wanted: JsonObject) -> JsonObject:
    member, group = arguments.member(world, wanted), arguments.group(world, wanted)
    if member.id not in group.members:
        raise MutationError("person is not in this group")
    world.leave_group(group, member)
    return {"person": member.id, "group": group.id}


@mutation("partner, system_user? (default: the admin): becomes an EMPLOYEE")
def downgrade_system_user(world: World, wanted: JsonObject) -> JsonObject:
    return _set_role(world, wanted, "EMPLOYEE")


@mutation("partner, system_user? (default: the admin): becomes an ADMIN again")
def upgrade_system_user(world: World, wanted: JsonObject) -> JsonObject:
    return _set_role(world, wanted, "ADMIN")


@mutation("partner, system_user? (default: the admin): is deleted; its tokens stop working")
def remove_system_user(world: World, wanted: JsonObject) -> JsonObject:
    member = arguments.system_user(world, wanted)
    world.remove_member(member)
    return {"system_user": member.id}


def _set_role(world: World, wanted: JsonObject, role: str) -> JsonObject:
    member = arguments.system_user(world, wanted)
    before, member.role = member.role, role
    return {"system_user": member.id, "before": before, "role": role}
