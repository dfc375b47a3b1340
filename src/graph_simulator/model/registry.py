"""The world: all records by id, and the changes that keep its indexes consistent.

The host is the business that owns the app: our own business.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from graph_simulator.model import seeded
from graph_simulator.model.records import (
    Account,
    App,
    AppRequest,
    Asset,
    AssetGroup,
    Business,
    Invite,
    Member,
    Person,
    Share,
    SystemUser,
    Tasks,
)
from graph_simulator.model.tokens import Token, make_token_text
from graph_simulator.model.vocabulary import AssetKind

T = TypeVar("T")


@dataclass(slots=True)
class Partner:
    """Partner: its relationship to the host, and the tokens that a test can use."""

    business_id: str
    relationship: str
    """agency (uses assets of the host), client (the host uses its assets) or both."""
    system_user_id: str
    employee_system_user_id: str
    tokens: dict[str, Token] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class World:
    """All records of the simulator. The same arguments make the same world, except for dates."""

    seed: int
    now: int
    app: App
    host_id: str
    rebuild: Callable[[], "World"]
    quirks: bool = True
    apps: dict[str, App] = field(default_factory=dict)
    businesses: dict[str, Business] = field(default_factory=dict)
    assets: dict[str, Asset] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    groups: dict[str, AssetGroup] = field(default_factory=dict)
    partners: dict[str, Partner] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict, repr=False)
    host_tokens: dict[str, Token] = field(default_factory=dict, repr=False)
    issued_ids: int = 0
    issued_tokens: int = 0

    @property
    def host(self) -> Business:
        return self.businesses[self.host_id]

    def new_id(self, lead: str) -> str:
        """Return a new numeric id. Its first digits, `lead`, show the kind of record."""
        self.issued_ids += 1
        tail = seeded.number(self.seed, "id", self.issued_ids) % 10**7
        return f"{lead}{self.issued_ids:06d}{tail:07d}"

    def new_token_text(self) -> str:
        self.issued_tokens += 1
        return make_token_text(self.seed, self.issued_tokens)

    # Records

    def add_business(self, business: Business) -> Business:
        self.businesses[business.id] = business
        return business

    def add_asset(self, asset: Asset) -> Asset:
        self.assets[asset.id] = asset
        self.businesses[asset.owner_id].owned[asset.kind][asset.id] = asset
        return asset

    def add_person(self, person: Person) -> Person:
        self.members[person.id] = person
        self.businesses[person.business_id].people[person.id] = person
        return person

    def add_system_user(self, system_user: SystemUser) -> SystemUser:
        self.members[system_user.id] = system_user
        self.businesses[system_user.business_id].system_users[system_user.id] = system_user
        return system_user

    def add_token(self, token: Token) -> Token:
        self.tokens[token.text] = token
        return token

    def new_group(self, business: Business, name: str) -> AssetGroup:
        return self.add_group(AssetGroup(id=self.new_id("33"), name=name, owner_id=business.id))

    def add_group(self, group: AssetGroup) -> AssetGroup:
        self.groups[group.id] = group
        self.businesses[group.owner_id].groups[group.id] = group
        return group

    def add_invite(self, invite: Invite) -> Invite:
        self.businesses[invite.business_id].invites[invite.id] = invite
        return invite

    def remove_member(self, member: Member) -> None:
        for asset_id in list(member.assigned):
            self.unassign(member, self.assets[asset_id])
        for group_id in member.group_ids:
            self.groups[group_id].members.pop(member.id, None)
        business = self.businesses[member.business_id]
        business.people.pop(member.id, None)
        business.system_users.pop(member.id, None)
        del self.members[member.id]
        for account in [a for a in self.accounts.values() if a.person_id == member.id]:
            del self.accounts[account.id]

    # Sharing

    def share(self, asset: Asset, with_business: Business, share: Share) -> None:
        """Share an asset with another business. Without confirmation the share is pending."""
        owner = self.businesses[asset.owner_id]
        asset.shares[with_business.id] = share
        if not share.confirmed:
            with_business.offered[asset.kind][asset.id] = asset
            return
        with_business.offered[asset.kind].pop(asset.id, None)
        with_business.received[asset.kind][asset.id] = asset
        owner.agencies.setdefault(with_business.id, {})[asset.id] = asset
        with_business.clients.setdefault(owner.id, {})[asset.id] = asset

    def unshare(self, asset: Asset, with_business: Business) -> None:
        """End the share. People and groups of the other business lose the asset too."""
        owner = self.businesses[asset.owner_id]
        asset.shares.pop(with_business.id, None)
        with_business.received[asset.kind].pop(asset.id, None)
        with_business.offered[asset.kind].pop(asset.id, None)
        _discard(owner.agencies, with_business.id, asset.id)
        _discard(with_business.clients, owner.id, asset.id)
        for member_id in list(asset.assigned.get(with_business.id, ())):
            self.unassign(self.members[member_id], asset)
        for group_id in list(asset.group_ids):
            group = self.groups[group_id]
            if group.owner_id == with_business.id:
                group.asset_ids.pop(asset.id, None)
                asset.group_ids.remove(group_id)

    # Assigning

    def assign(self, member: Member, asset: Asset, tasks: Tasks) -> None:
        asset.assigned.setdefault(member.business_id, {})[member.id] = tasks
        member.assigned[asset.id] = tasks

    def unassign(self, member: Member, asset: Asset) -> None:
        _discard(asset.assigned, member.business_id, member.id)
        member.assigned.pop(asset.id, None)

    def put_in_group(self, group: AssetGroup, asset: Asset) -> None:
        group.asset_ids[asset.id] = None
        asset.group_ids.append(group.id)

    def join_group(self, group: AssetGroup, member: Member, tasks: dict[AssetKind, Tasks]) -> None:
        group.members[member.id] = tasks
        member.group_ids.append(group.id)

    def leave_group(self, group: AssetGroup, member: Member) -> None:
        group.members.pop(member.id, None)
        member.group_ids.remove(group.id)

    def group_tasks(self, member: Member, asset: Asset) -> Tasks:
        """Return the member's tasks on this asset through groups, those of all groups together."""
        groups = (self.groups[group_id] for group_id in asset.group_ids)
        given = (group.members.get(member.id, {}).get(asset.kind, ()) for group in groups)
        return tuple(dict.fromkeys(task for tasks in given for task in tasks))

    def tasks_of(self, member: Member, asset: Asset) -> Tasks:
        return member.assigned.get(asset.id) or self.group_tasks(member, asset)

    # Queries

    def shared_with(self, partner: Business) -> list[Asset]:
        """Return all assets shared between the host and this partner, the host's assets first."""
        ours = self.host.agencies.get(partner.id, {})
        theirs = self.host.clients.get(partner.id, {})
        return [*ours.values(), *theirs.values()]

    def page_token(self, token: Token, page: Asset) -> Token:
        """Return the Page token that this token gets for this Page: the same each time."""
        text = make_token_text(self.seed, "page", page.id, token.text)
        known = self.tokens.get(text)
        if known is not None:
            return known
        return self.add_token(
            Token(
                text=text,
                label=f"{token.label}/page:{page.id}",
                type="PAGE",
                app_id=token.app_id,
                owner_id=page.id,
                business_id=token.business_id,
                scopes=token.scopes,
                issued_at=token.issued_at,
                origin_text=token.text,
            )
        )

    def request_app(self, business: Business, app: App) -> None:
        request = AppRequest(id=self.new_id("77"), app_id=app.id)
        business.app_requests[request.id] = request


def _discard(index: dict[str, dict[str, T]], outer: str, inner: str) -> None:
    entries = index.get(outer)
    if entries is None:
        return
    entries.pop(inner, None)
    if not entries:
        del index[outer]
