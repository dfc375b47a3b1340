"""Mutations of partnerships, shares, and the app's connection to a partner."""

from graph_simulator.control import mutation_arguments as arguments
from graph_simulator.control.mutation_arguments import JsonObject, MutationError, mutation
from graph_simulator.model.records import Business, Share
from graph_simulator.model.registry import World
from graph_simulator.model.vocabulary import KINDS
from graph_simulator.world import add_partner, share_new_asset

OURS_TO_PARTNER = "ours_shared_to_partner"
APP_REMOVED = 458


@mutation(
    "partner, asset? (an existing one) or type? (ad_account), direction? (ours_shared_to_partner), "
    "assign_admin? (true): shares an asset"
)
def share(world: World, wanted: JsonObject) -> JsonObject:
    business = arguments.business(world, wanted)
    if "asset" in wanted:
        asset = arguments.asset(world, wanted)
        receiver = business if asset.owner_id != business.id else world.host
        world.share(asset, receiver, _confirmed(world, asset.full_control))
    else:
        kind = next((k for k in KINDS if k == wanted.get("type", "ad_account")), None)
        if kind is None:
            raise MutationError(f"type is one of {', '.join(KINDS)}")
        we_own = wanted.get("direction", OURS_TO_PARTNER) == OURS_TO_PARTNER
        asset = share_new_asset(world, business, kind, we_own, len(world.assets))
    admin = world.members.get(world.partners[business.id].system_user_id)
    if admin is not None and wanted.get("assign_admin", True):
        world.assign(admin, asset, asset.full_control)
    return {"partner": business.id, "asset": asset.id, "type": asset.kind, "name": asset.name}


@mutation("partner, asset: ends the share; people of the receiving business lose their access")
def unshare(world: World, wanted: JsonObject) -> JsonObject:
    business, asset = arguments.business(world, wanted), arguments.asset(world, wanted)
    world.unshare(asset, business if asset.owner_id == world.host_id else world.host)
    return {"partner": business.id, "asset": asset.id}


@mutation("partner, asset, tasks: the share permits these tasks")
def change_permitted_tasks(world: World, wanted: JsonObject) -> JsonObject:
    business, asset = arguments.business(world, wanted), arguments.asset(world, wanted)
    share = asset.shares.get(business.id if asset.owner_id == world.host_id else world.host_id)
    if share is None:
        raise MutationError("this asset is not shared with this partner")
    before, share.permitted_tasks = share.permitted_tasks, arguments.tasks(wanted)
    return {"asset": asset.id, "before": list(before), "tasks": list(share.permitted_tasks)}


@mutation("partner: ends all shares in both directions")
def end_partnership(world: World, wanted: JsonObject) -> JsonObject:
    business = arguments.business(world, wanted)
    for asset in world.shared_with(business):
        world.unshare(asset, business if asset.owner_id == world.host_id else world.host)
    return {"partner": business.id}


@mutation("relationship? (agency), assets? (3), users? (4): adds a partner → partner")
def new_partner(world: World, wanted: JsonObject) -> JsonObject:
    made = add_partner(
        world,
        len(world.partners),
        str(wanted.get("relationship", "agency")),
        int(wanted.get("assets", 3)),
        int(wanted.get("users", 4)),
    )
    return {"partner": made.business_id}


@mutation("partner: requests the app, which waits for approval; its tokens do not change")
def request_app(world: World, wanted: JsonObject) -> JsonObject:
    business = arguments.business(world, wanted)
    _detach_app(world, business)
    world.request_app(business, world.app)
    return {"partner": business.id}


@mutation("partner: the app's owner approves")
def approve_app(world: World, wanted: JsonObject) -> JsonObject:
    business = arguments.business(world, wanted)
    business.app_requests.clear()
    if world.app.id not in business.client_app_ids:
        business.client_app_ids.append(world.app.id)
    return {"partner": business.id}


@mutation("partner: removes the app; its tokens for the app are refused with subcode 458")
def remove_app(world: World, wanted: JsonObject) -> JsonObject:
    business = arguments.business(world, wanted)
    _detach_app(world, business)
    for token in world.partners[business.id].tokens.values():
        if token.app_id == world.app.id:
            token.revoked = APP_REMOVED
    return {"partner": business.id}


def _detach_app(world: World, business: Business) -> None:
    if world.app.id in business.client_app_ids:
        business.client_app_ids.remove(world.app.id)


def _confirmed(world: World, tasks: tuple[str, ...]) -> Share:
    return Share(tasks, "CONFIRMED", world.now, world.now)
