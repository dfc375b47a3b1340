"""Partnerships and shares begin, change and end; the app comes and goes at a partner."""

from graph_simulator.control import mutation_book as book
from graph_simulator.control.mutation_book import MutationError, Wanted, mutation
from graph_simulator.model.records import Business, Share
from graph_simulator.model.registry import World
from graph_simulator.model.vocabulary import KINDS
from graph_simulator.world import add_partner, share_new_asset

OURS = "ours_shared_to_partner"
APP_REMOVED = 458


@mutation(
    "partner, asset? (an existing one) or type? (ad_account), direction? (ours_shared_to_partner), "
    "assign_admin? (true): opens an asset"
)
def share(world: World, wanted: Wanted) -> Wanted:
    business = book.business(world, wanted)
    if "asset" in wanted:
        asset = book.asset(world, wanted)
        receiver = business if asset.owner_id != business.id else world.host
        world.share(asset, receiver, _confirmed(world, asset.full_control))
    else:
        kind = next((k for k in KINDS if k == wanted.get("type", "ad_account")), None)
        if kind is None:
            raise MutationError(f"type is one of {', '.join(KINDS)}")
        we_own = wanted.get("direction", OURS) == OURS
        asset = share_new_asset(world, business, kind, we_own, len(world.assets))
    admin = world.members.get(world.partners[business.id].system_user_id)
    if admin is not None and wanted.get("assign_admin", True):
        world.assign(admin, asset, asset.full_control)
    return {"partner": business.id, "asset": asset.id, "type": asset.kind, "name": asset.name}


@mutation("partner, asset: closes it; the partner's people lose it too")
def unshare(world: World, wanted: Wanted) -> Wanted:
    business, asset = book.business(world, wanted), book.asset(world, wanted)
    world.unshare(asset, business if asset.owner_id == world.host_id else world.host)
    return {"partner": business.id, "asset": asset.id}


@mutation("partner, asset, tasks: what the share permits")
def change_permitted_tasks(world: World, wanted: Wanted) -> Wanted:
    business, asset = book.business(world, wanted), book.asset(world, wanted)
    share = asset.shares.get(business.id if asset.owner_id == world.host_id else world.host_id)
    if share is None:
        raise MutationError("this asset is not shared with this partner")
    before, share.permitted_tasks = share.permitted_tasks, book.tasks(wanted)
    return {"asset": asset.id, "before": list(before), "tasks": list(share.permitted_tasks)}


@mutation("partner: every share in both directions ends")
def end_partnership(world: World, wanted: Wanted) -> Wanted:
    business = book.business(world, wanted)
    for asset in world.shared_with(business):
        world.unshare(asset, business if asset.owner_id == world.host_id else world.host)
    return {"partner": business.id}


@mutation("relationship? (agency), assets? (3), users? (4) → a new partner")
def new_partner(world: World, wanted: Wanted) -> Wanted:
    made = add_partner(
        world,
        len(world.partners),
        str(wanted.get("relationship", "agency")),
        int(wanted.get("assets", 3)),
        int(wanted.get("users", 4)),
    )
    return {"partner": made.business_id}


@mutation("partner: asked for the app and waits for its owner; its tokens stay as they are")
def request_app(world: World, wanted: Wanted) -> Wanted:
    business = book.business(world, wanted)
    _take_app(world, business)
    world.request_app(business, world.app)
    return {"partner": business.id}


@mutation("partner: the app's owner approves")
def approve_app(world: World, wanted: Wanted) -> Wanted:
    business = book.business(world, wanted)
    business.app_requests.clear()
    if world.app.id not in business.client_app_ids:
        business.client_app_ids.append(world.app.id)
    return {"partner": business.id}


@mutation("partner: takes the app out of its business, and its tokens for it die with 458")
def remove_app(world: World, wanted: Wanted) -> Wanted:
    business = book.business(world, wanted)
    _take_app(world, business)
    for token in world.partners[business.id].tokens.values():
        if token.app_id == world.app.id:
            token.revoked = APP_REMOVED
    return {"partner": business.id}


def _take_app(world: World, business: Business) -> None:
    if world.app.id in business.client_app_ids:
        business.client_app_ids.remove(world.app.id)


def _confirmed(world: World, tasks: tuple[str, ...]) -> Share:
    return Share(tasks, "CONFIRMED", world.now, world.now)
