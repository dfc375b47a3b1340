"""Build the invented world: a host business, its partners, their people and their assets."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from graph_simulator.model import dice, names
from graph_simulator.model.population import add_groups, add_invites, add_people, add_system_users
from graph_simulator.model.records import App, Asset, Business, Share
from graph_simulator.model.registry import Partner, World
from graph_simulator.model.token_office import issue_host_tokens, issue_partner_tokens
from graph_simulator.model.vocabulary import (
    APP_ID,
    APP_NAME,
    KINDS,
    NEW_PAGE_FULL_CONTROL,
    NEW_PAGE_LEVELS,
    AssetKind,
)

__all__ = ["World", "build_world"]

RELATIONSHIPS = ("agency", "client", "both")
DAY = 86_400
UNSHARED_PER_BUSINESS = 3


@dataclass(frozen=True, slots=True)
class Size:
    partners: int
    assets: int
    users: int


def build_world(
    *,
    seed: int = 1,
    partners: int = 4,
    assets: int = 6,
    users: int = 8,
    relationships: Sequence[str] = RELATIONSHIPS,
    now: int | None = None,
) -> World:
    """The world of this seed. `assets` (shared) and `users` (with access) count per partner.

    `relationships` are taken in turn, one a partner: agency, client or both.

    Ids, names, shares, tasks and token texts depend on the arguments alone. Dates are counted
    back and forth from `now`, the clock by default, so that a 60-day token is never stale.
    """
    _check_relationships(relationships)
    start = int(time.time()) if now is None else now
    size = Size(partners, assets, users)
    app = App(id=APP_ID, name=APP_NAME, secret=dice.letters(32, seed, "app secret").lower())
    other_app = App(
        id="1084910789409157",
        name="Another Manager",
        secret=dice.letters(32, seed, "other app secret").lower(),
    )
    world = World(
        seed=seed,
        now=start,
        app=app,
        host_id="",
        rebuild=partial(
            build_world,
            seed=seed,
            partners=partners,
            assets=assets,
            users=users,
            relationships=relationships,
            now=now,
        ),
        apps={app.id: app, other_app.id: other_app},
    )
    host = world.add_business(_business(world, "Harbourlight Brands"))
    world.host_id = host.id
    app.owner_id = host.id
    host.owned_app_ids.append(app.id)
    add_system_users(world, host)
    for index in range(UNSHARED_PER_BUSINESS):
        _asset(world, host, _kind_at(index, UNSHARED_PER_BUSINESS), index)
    issue_host_tokens(world, other_app)
    for index in range(size.partners):
        relationship = relationships[index % len(relationships)]
        add_partner(world, index, relationship, size.assets, size.users)
    return world


def _check_relationships(relationships: Sequence[str]) -> None:
    if isinstance(relationships, str) or not relationships:
        raise ValueError(f"relationships are a list of {', '.join(RELATIONSHIPS)}")
    wrong = [one for one in relationships if one not in RELATIONSHIPS]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is not one of {', '.join(RELATIONSHIPS)}")


def add_partner(world: World, index: int, relationship: str, assets: int, users: int) -> Partner:
    """One more partner, complete: shared and unshared assets, people, tokens, an approved app."""
    business = world.add_business(_business(world, _company_name(world.seed, index)))
    business.client_app_ids.append(world.app.id)
    admin, employee = add_system_users(world, business)
    partner = Partner(business.id, relationship, admin.id, employee.id)
    world.partners[business.id] = partner
    shared = [
        share_new_asset(world, business, _kind_at(i, assets), _we_own(relationship, i), index)
        for i in range(assets)
    ]
    if relationship != "client" and shared:
        shared[0] = _shared_with_all_agencies(world, business, shared[0])
    unshared = [
        _asset(world, business, _kind_at(i, UNSHARED_PER_BUSINESS), i)
        for i in range(UNSHARED_PER_BUSINESS)
    ]
    _offer(world, business)
    for place, asset in enumerate(shared):
        world.assign(admin, asset, asset.full_control)
        if place % 2 == 0:
            world.assign(employee, asset, asset.levels[0])
    add_people(world, business, shared, unshared, users)
    add_groups(world, business, shared, users)
    add_invites(world, business)
    issue_partner_tokens(world, partner)
    return partner


def share_new_asset(
    world: World, partner: Business, kind: AssetKind, we_own: bool, variant: int
) -> Asset:
    """An asset made and shared in one go, in either direction."""
    owner, receiver = (world.host, partner) if we_own else (partner, world.host)
    asset = _asset(world, owner, kind, variant)
    world.share(asset, receiver, _share(world, asset, "CONFIRMED"))
    return asset


def _shared_with_all_agencies(world: World, partner: Business, own: Asset) -> Asset:
    """Agencies have one ad account of ours in common, so `assigned_users?business=` must choose."""
    common = next(
        (
            asset
            for asset in world.host.owned[own.kind].values()
            if partner.id not in asset.shares and _has_confirmed_share(asset)
        ),
        None,
    )
    if common is None or own.owner_id != world.host_id:
        return own
    world.unshare(own, partner)
    world.share(common, partner, _share(world, common, "CONFIRMED"))
    return common


def _has_confirmed_share(asset: Asset) -> bool:
    return any(share.confirmed for share in asset.shares.values())


def _offer(world: World, partner: Business) -> None:
    """A share that still waits: it has a row with PENDING and counts as not shared."""
    asset = next(iter(world.host.owned["ad_account"].values()))
    if partner.id not in asset.shares:
        world.share(asset, partner, _share(world, asset, "PENDING"))


def _share(world: World, asset: Asset, status: str) -> Share:
    asked = world.now - 90 * DAY - dice.number(world.seed, asset.id, "asked") % (100 * DAY)
    return Share(asset.full_control, status, asked, asked + 2 * DAY)


def _business(world: World, name: str) -> Business:
    business_id = world.new_id("10")
    return Business(
        id=business_id,
        name=name,
        created_at=world.now - 800 * DAY + dice.number(business_id) % (300 * DAY),
        verification_status=dice.choose(("verified", "not_verified", "pending"), business_id),
        two_factor_type=dice.choose(("none", "admin_required", "all_required"), business_id),
    )


def _asset(world: World, owner: Business, kind: AssetKind, variant: int) -> Asset:
    facts = KINDS[kind]
    asset_id = world.new_id("2" + str(1 + list(KINDS).index(kind)))
    brand = dice.choose(names.BRANDS, world.seed, asset_id)
    new_page = kind == "page" and variant % 2 == 1
    return world.add_asset(
        Asset(
            id=asset_id,
            kind=kind,
            name=f"{owner.name} / {brand} {facts.plural.removesuffix('s').replace('_', ' ')}",
            owner_id=owner.id,
            created_at=world.now - 500 * DAY + dice.number(asset_id) % (300 * DAY),
            full_control=NEW_PAGE_FULL_CONTROL if new_page else facts.full_control,
            levels=NEW_PAGE_LEVELS if new_page else facts.levels,
        )
    )


def _company_name(seed: int, index: int) -> str:
    stem = names.COMPANY_STEMS[(index + seed) % len(names.COMPANY_STEMS)]
    tail = dice.choose(names.COMPANY_TAILS, seed, index)
    lap = (index + seed % len(names.COMPANY_STEMS)) // len(names.COMPANY_STEMS)
    return f"{stem} {tail}" if not lap else f"{stem} {tail} {lap + 1}"


def _kind_at(index: int, assets: int) -> AssetKind:
    """Ad account, page, catalog in turn; pixels join when there are five assets or more."""
    pixel_from = 5
    kinds: tuple[AssetKind, ...] = ("ad_account", "page", "product_catalog", "pixel")
    return kinds[index % (4 if assets >= pixel_from else 3)]


def _we_own(relationship: str, index: int) -> bool:
    return relationship == "agency" or (relationship == "both" and index % 2 == 0)
