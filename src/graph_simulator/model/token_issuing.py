"""Tokens of a business: one good token, and one of each unsuitable kind."""

from dataclasses import replace

from graph_simulator.model.records import Account, App, Asset, Business, Member
from graph_simulator.model.registry import Partner, World
from graph_simulator.model.tokens import Token
from graph_simulator.model.vocabulary import REQUIRED_SCOPES, AssetKind

DAY = 86_400
REVOKED = 460
WITHHELD_SCOPE = "catalog_management"
NARROWED_SCOPES: dict[AssetKind, tuple[str, ...]] = {
    "ad_account": ("ads_management",),
    "page": ("pages_manage_metadata", "pages_read_engagement", "pages_show_list"),
    "product_catalog": ("catalog_management",),
}


def issue_host_tokens(world: World, other_app: App) -> None:
    admin, employee = world.host.system_users.values()
    good = new_token(world, "host/good", admin)
    world.host_tokens = {
        "good": good,
        "expired": _variant(world, good, "expired", expires_at=world.now - DAY),
        "revoked": _variant(world, good, "revoked", revoked=REVOKED),
        "wrong_app": _variant(world, good, "wrong_app", app_id=other_app.id),
        "expiring": _variant(world, good, "expiring", expires_at=world.now + 60 * DAY),
        "missing_scope": _variant(
            world,
            good,
            "missing_scope",
            scopes=tuple(s for s in REQUIRED_SCOPES if s != WITHHELD_SCOPE),
        ),
        "employee": new_token(world, "host/employee", employee),
    }


def issue_partner_tokens(world: World, partner: Partner) -> None:
    business = world.businesses[partner.business_id]
    admin = world.members[partner.system_user_id]
    other_app_id = next(app_id for app_id in world.apps if app_id != world.app.id)
    good = new_token(world, f"{business.id}/good", admin)
    partner.tokens = {
        "good": good,
        "expired": _variant(world, good, "expired", expires_at=world.now - DAY),
        "revoked": _variant(world, good, "revoked", revoked=REVOKED),
        "wrong_app": _variant(world, good, "wrong_app", app_id=other_app_id),
        "user_type": _user_token(world, business, good),
        "expiring": _variant(
            world,
            good,
            "expiring",
            expires_at=world.now + 60 * DAY,
            data_access_expires_at=world.now + 90 * DAY,
        ),
        "missing_scope": _variant(
            world,
            good,
            "missing_scope",
            scopes=tuple(s for s in REQUIRED_SCOPES if s != WITHHELD_SCOPE),
        ),
        "narrowed": _variant(
            world, good, "narrowed", targets=first_of_each_kind(world.shared_with(business))
        ),
        "employee": new_token(
            world, f"{business.id}/employee", world.members[partner.employee_system_user_id]
        ),
    }


def new_token(world: World, label: str, member: Member) -> Token:
    """Issue a system user's token for our app: it never expires and has all required scopes."""
    return world.add_token(
        Token(
            text=world.new_token_text(),
            label=label,
            type="SYSTEM_USER",
            app_id=world.app.id,
            owner_id=member.id,
            business_id=member.business_id,
            scopes=REQUIRED_SCOPES,
            issued_at=world.now - 30 * DAY,
        )
    )


def first_of_each_kind(assets: list[Asset]) -> dict[str, tuple[str, ...]]:
    """Return granular targets that cover only the first asset of each kind."""
    targets: dict[str, tuple[str, ...]] = {}
    for kind, scopes in NARROWED_SCOPES.items():
        first = next((asset.id for asset in assets if asset.kind == kind), None)
        if first is not None:
            targets.update(dict.fromkeys(scopes, (first,)))
    return targets


def _variant(world: World, good: Token, name: str, **changes: object) -> Token:
    label = f"{good.label.split('/')[0]}/{name}"
    token = replace(good, text=world.new_token_text(), label=label)
    for field_name, value in changes.items():
        setattr(token, field_name, value)
    return world.add_token(token)


def _user_token(world: World, business: Business, good: Token) -> Token:
    """Issue a token of a person, an admin, instead of a system user. It is valid for 60 days."""
    # A business always has people: even without users it has people without access.
    person = next(iter(business.people.values()))
    account = Account(id=world.new_id("5"), name=person.name, person_id=person.id)
    world.accounts[account.id] = account
    return _variant(
        world,
        good,
        "user_type",
        type="USER",
        owner_id=account.id,
        expires_at=world.now + 60 * DAY,
        data_access_expires_at=world.now + 90 * DAY,
    )
