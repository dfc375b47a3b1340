"""The world as JSON, from which a test computes the answers it expects."""

from typing import Any

from graph_simulator.model.records import Asset, AssetGroup, Business, Member, Person, Tasks
from graph_simulator.model.registry import Partner, World
from graph_simulator.model.tokens import Token


def tell(world: World) -> dict[str, Any]:
    """Return the whole world as JSON: our own business (`host`) and its partners."""
    return {
        "app": {"id": world.app.id, "name": world.app.name, "secret": world.app.secret},
        "graph_version": "v26.0",
        "seed": world.seed,
        "host": _host(world),
        "partners": [_partner(world, partner) for partner in world.partners.values()],
    }


def _host(world: World) -> dict[str, Any]:
    host = world.host
    admin, *_ = host.system_users.values()
    return {
        "id": host.id,
        "name": host.name,
        "token": world.host_tokens["good"].text,
        "tokens": _texts(world.host_tokens),
        "token_details": _details(world.host_tokens),
        "system_user": {"id": admin.id, "name": admin.name, "role": admin.role},
        "unshared_assets": [_summary_of(asset) for asset in _owned(host) if not _is_shared(asset)],
    }


def _partner(world: World, partner: Partner) -> dict[str, Any]:
    business = world.businesses[partner.business_id]
    shared = world.shared_with(business)
    people = [_person(world, person, shared) for person in business.people.values()]
    system_user = world.members.get(partner.system_user_id)
    employee = world.members.get(partner.employee_system_user_id)
    return {
        "id": business.id,
        "name": business.name,
        "verification_status": business.verification_status,
        "relationship": _relationship(world, business),
        "tokens": _texts(partner.tokens),
        "token_details": _details(partner.tokens),
        "system_user": _system_user(system_user),
        "employee_system_user": _system_user(employee),
        "app_approved": world.app.id in business.client_app_ids,
        "shared_assets": [_shared_asset(world, business, asset) for asset in shared],
        "pending_assets": [
            _summary_of(asset)
            for offered in business.offered.values()
            for asset in offered.values()
        ],
        "unshared_assets": [
            _summary_of(asset) for asset in _owned(business) if world.host_id not in asset.shares
        ],
        "people": people,
        "people_without_access": sum(not person["has_access"] for person in people),
        "asset_groups": [_group(group) for group in business.groups.values()],
        "pending_users": [
            {"id": invite.id, "email": invite.email, "role": invite.role, "status": invite.status}
            for invite in business.invites.values()
        ],
    }


def _relationship(world: World, business: Business) -> str:
    """Return the current relationship, which mutations may have changed or ended."""
    agency, client = business.id in world.host.agencies, business.id in world.host.clients
    if agency and client:
        return "both"
    return "agency" if agency else "client" if client else "none"


def _shared_asset(world: World, business: Business, asset: Asset) -> dict[str, Any]:
    ours = asset.owner_id == world.host_id
    share = asset.shares[business.id if ours else world.host_id]
    direct = asset.assigned.get(business.id, {})
    access_rows = [
        access_row
        for member_id in dict.fromkeys([*direct, *_in_groups(world, business, asset)])
        for access_row in _access_rows(
            member_id,
            direct.get(member_id, ()),
            world.group_tasks(world.members[member_id], asset),
        )
    ]
    return {
        **_summary_of(asset),
        "direction": "ours_shared_to_partner" if ours else "theirs_shared_to_us",
        "owner": asset.owner_id,
        "permitted_tasks": list(share.permitted_tasks),
        "people": [row for row in access_rows if row["id"] in business.people],
        "system_users": [row for row in access_rows if row["id"] in business.system_users],
    }


def _access_rows(member_id: str, direct: Tasks, through_groups: Tasks) -> list[dict[str, Any]]:
    """Return one row for each way of access: a direct assignment, groups, or both."""
    found = (("direct", direct), ("group", through_groups))
    return [{"id": member_id, "tasks": list(tasks), "via": via} for via, tasks in found if tasks]


def _in_groups(world: World, business: Business, asset: Asset) -> list[str]:
    groups = [world.groups[group_id] for group_id in asset.group_ids]
    return [one for group in groups if group.owner_id == business.id for one in group.members]


def _group(group: AssetGroup) -> dict[str, Any]:
    return {
        "id": group.id,
        "name": group.name,
        "assets": list(group.asset_ids),
        "members": list(group.members),
    }


def _person(world: World, person: Person, shared: list[Asset]) -> dict[str, Any]:
    """Return a person with its access to shared assets, directly or through groups."""
    access_rows = [
        (asset, access_row)
        for asset in shared
        for access_row in _access_rows(
            person.id, person.assigned.get(asset.id, ()), world.group_tasks(person, asset)
        )
    ]
    return {
        "id": person.id,
        "name": person.name,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": person.email,
        "role": person.role,
        "two_fac_status": person.two_fac_status,
        "title": person.title,
        "finance_permission": person.finance_permission,
        "has_access": bool(access_rows),
        "assets": [
            {**access_row, "id": asset.id, "type": asset.kind} for asset, access_row in access_rows
        ],
    }


def _system_user(member: Member | None) -> dict[str, str] | None:
    if member is None:
        return None
    return {"id": member.id, "name": member.name, "role": member.role}


def _owned(business: Business) -> list[Asset]:
    return [asset for assets in business.owned.values() for asset in assets.values()]


def _is_shared(asset: Asset) -> bool:
    return any(share.confirmed for share in asset.shares.values())


def _summary_of(asset: Asset) -> dict[str, str]:
    return {"id": asset.id, "type": asset.kind, "name": asset.name}


def _texts(tokens: dict[str, Token]) -> dict[str, str]:
    return {name: token.text for name, token in tokens.items()}


def _details(tokens: dict[str, Token]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "label": token.label,
            "type": token.type,
            "app_id": token.app_id,
            "owner_id": token.owner_id,
            "scopes": list(token.scopes),
            "targets": {scope: list(ids) for scope, ids in token.targets.items()},
            "expires_at": token.expires_at,
            "data_access_expires_at": token.data_access_expires_at,
            "revoked": token.revoked,
        }
        for name, token in tokens.items()
    }
