"""Builder of the invented world: a host business, its partners, their people and assets."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from graph_simulator.model import names, seeded
from graph_simulator.model.population import add_groups, add_invites, add_people, add_system_users
from graph_simulator.model.records import App, Asset, Business, Share
from graph_simulator.model.registry import Partner, World
from graph_simulator.model.token_issuing import issue_host_tokens, issue_partner_tokens
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
    quirks: bool = True,
    now: int | None = None,
) -> World:
    """Build the world of this seed.

    Each partner has `assets` shared assets and `users` people with access. The partners get the
    `relationships` in turn: agency, client or both. Without `quirks` every person has a plain
    name, an email address and documented tasks.

    Ids, names, shares, tasks and token texts depend on the arguments only. Dates are relative to
    `now` (Unix seconds, the current time by default), so that a 60-day token has not expired.

    Raises `ValueError` for unknown or missing relationships.
    """
    _check_relationships(relationships)
    start = int(time.time()) if now is None else now
    size = Size(partners, assets, users)
    app = App(id=APP_ID, name=APP_NAME, secret=seeded.letters(32, seed, "app secret").lower())
    other_app = App(
        id="1084910789409157",
        name="Another Manager",
        secret=seeded.letters(32, seed, "other app secret").lower(),
    )
    world = World(
        seed=seed,
        now=start,
        app=app,
        host_id="",
        quirks=quirks,
        rebuild=partial(
            build_world,
            seed=seed,
            partners=partners,
            assets=assets,
            users=users,
            relationships=relationships,
            quirks=quirks,
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
        raise ValueError(f"relationships must be a list of {', '.join(RELATIONSHIPS)}")
    wrong = [one for one in relationships if one not in RELATIONSHIPS]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is not one of {', '.join(RELATIONSHIPS)}")


def add_partner(world: World, index: int, relationship: str, assets: int, users: int) -> Partner:
    """Add a partner with shared and unshared assets, people, tokens and an approved app."""
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
        shared[0] = _replace_with_common_asset(world, business, shared[0])
    unshared = [
        _asset(world, business, _kind_at(i, UNSHARED_PER_BUSINESS), i)
        for i in range(UNSHARED_PER_BUSINESS)
    ]
    _add_pending_share(world, business)
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
    """Create an asset and share it, in either direction."""
    owner, receiver = (world.host, partner) if we_own else (partner, world.host)
    asset = _asset(world, owner, kind, variant)
    world.share(asset, receiver, _share(world, asset, "CONFIRMED"))
    return asset


def _replace_with_common_asset(world: World, partner: Business, own: Asset) -> Asset:
    """Replace the agency's first asset by one that other agencies have too, if there is one.

    So `assigned_users?business=` has to select one of several businesses.
    """
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


def _add_pending_share(world: World, partner: Business) -> None:
    """Add a pending share, which has a row with PENDING and counts as not shared."""
    asset = next(iter(world.host.owned["ad_account"].values()))
    if partner.id not in asset.shares:
        world.share(asset, partner, _share(world, asset, "PENDING"))


def _share(world: World, asset: Asset, status: str) -> Share:
    requested_at = world.now - 90 * DAY - seeded.number(world.seed, asset.id, "asked") % (100 * DAY)
    return Share(asset.full_control, status, requested_at, requested_at + 2 * DAY)


def _business(world: World, name: str) -> Business:
    business_id = world.new_id("10")
    return Business(
        id=business_id,
        name=name,
        created_at=world.now - 800 * DAY + seeded.number(business_id) % (300 * DAY),
        verification_status=seeded.choose(("verified", "not_verified", "pending"), business_id),
        two_factor_type=seeded.choose(("none", "admin_required", "all_required"), business_id),
    )


def _asset(world: World, owner: Business, kind: AssetKind, variant: int) -> Asset:
    facts = KINDS[kind]
    asset_id = world.new_id("2" + str(1 + list(KINDS).index(kind)))
    brand = seeded.choose(names.BRANDS, world.seed, asset_id)
    new_page = kind == "page" and variant % 2 == 1
    return world.add_asset(
        Asset(
            id=asset_id,
            kind=kind,
            name=f"{owner.name} / {brand} {facts.plural.removesuffix('s').replace('_', ' ')}",
            owner_id=owner.id,
            created_at=world.now - 500 * DAY + seeded.number(asset_id) % (300 * DAY),
            full_control=NEW_PAGE_FULL_CONTROL if new_page else facts.full_control,
            levels=NEW_PAGE_LEVELS if new_page else facts.levels,
        )
    )


def _company_name(seed: int, index: int) -> str:
    stem = names.COMPANY_STEMS[(index + seed) % len(names.COMPANY_STEMS)]
    tail = seeded.choose(names.COMPANY_TAILS, seed, index)
    round_number = (index + seed % len(names.COMPANY_STEMS)) // len(names.COMPANY_STEMS)
    return f"{stem} {tail}" if not round_number else f"{stem} {tail} {round_number + 1}"


def _kind_at(index: int, assets: int) -> AssetKind:
    """Return ad account, page and catalog in turn; also pixel from five assets on."""
    pixel_from = 5
    kinds: tuple[AssetKind, ...] = ("ad_account", "page", "product_catalog", "pixel")
    return kinds[index % (4 if assets >= pixel_from else 3)]


def _we_own(relationship: str, index: int) -> bool:
    return relationship == "agency" or (relationship == "both" and index % 2 == 0)
