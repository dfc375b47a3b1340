"""The caller of a read, and the assets that its token can see.

A token sees the assets that its business owns or received, except those that its scopes and
granular targets exclude. Excluded assets are missing from lists without an error.

A mark such as `#assigned-users` is a heading of `docs/reference/graph-facts.md`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from graph_simulator.graph import errors
from graph_simulator.model.records import Account, Asset, Business, Member
from graph_simulator.model.registry import World
from graph_simulator.model.tokens import Token
from graph_simulator.model.vocabulary import FULL_CONTROL_TASKS, KINDS, PAGE, AssetKind
from graph_simulator.switches import Switches

BUSINESS_SCOPE = ("business_management",)


@dataclass(frozen=True, slots=True)
class Viewer:
    """A valid token with its business and its member. An app token has neither."""

    world: World
    switches: Switches
    token: Token
    business: Business | None
    member: Member | None

    @property
    def actor_id(self) -> str:
        return self.token.owner_id

    @property
    def is_admin(self) -> bool:
        """True for an admin, who sees all assets; an employee sees its own only."""
        return self.member is not None and self.member.role == "ADMIN"

    def is_of(self, business: Business) -> bool:
        return self.business is not None and self.business.id == business.id

    def is_related_to(self, business: Business) -> bool:
        """Return whether this is its own business or one that shares an asset with it."""
        own = self.business
        if own is None:
            return False
        return own is business or business.id in own.agencies or business.id in own.clients

    def require_business_scope(self, business: Business) -> None:
        if not self.token.has_any(BUSINESS_SCOPE):
            raise errors.permission_missing("business_management", 403)
        if not self.token.covers(BUSINESS_SCOPE, business.id):
            raise errors.unsupported_get(business.id)

    def sees(self, asset: Asset) -> bool:
        own, token = self.business, self.token
        if own is None:
            return False
        if token.type == "PAGE" and token.owner_id != asset.id:
            return False
        if asset.owner_id != own.id and asset.id not in own.received[asset.kind]:
            return False
        if not token.covers(KINDS[asset.kind].scopes, asset.id):
            return False
        if asset.kind == PAGE and not token.has_any(BUSINESS_SCOPE):
            return False
        return self.is_admin or bool(self.tasks_on(asset))

    def visible(self, kind: AssetKind, assets: Iterable[Asset]) -> list[Asset]:
        """Return those of its business's assets of one kind that this token sees.

        An admin with a scope for all assets sees everything, so no asset is checked.
        """
        if self._sees_all(kind):
            return list(assets)
        return [asset for asset in assets if self.sees(asset)]

    def _sees_all(self, kind: AssetKind) -> bool:
        token = self.token
        return (
            token.type != "PAGE"
            and self.is_admin
            and any(s in token.scopes and s not in token.targets for s in KINDS[kind].scopes)
            and (kind != PAGE or token.has_any(BUSINESS_SCOPE))
        )

    def tasks_on(self, asset: Asset) -> tuple[str, ...]:
        return () if self.member is None else self.world.tasks_of(self.member, asset)

    def manages(self, page: Asset) -> bool:
        return any(task in FULL_CONTROL_TASKS for task in self.tasks_on(page))

    def page_token(self, page: Asset) -> str | None:
        """Return the Page's token, or None without full control of the Page (`#assigned-users`)."""
        if self.token.type == "PAGE":
            return self.token.text if self.token.owner_id == page.id else None
        if not self.manages(page):
            return None
        return self.world.page_token(self.token, page).text

    def require_page_management(self, page: Asset) -> None:
        """Check access to a Page's edges `agencies` and `assigned_users` (`#assigned-users`).

        Raises `GraphError` 210 without a Page token, 200 without full control or scope.
        """
        if self.switches.page_edges_need_page_token and self.token.type != "PAGE":
            raise errors.page_token_needed()
        if not self.manages(page):
            raise errors.permission_missing(
                "MANAGE task on the Page and pages_manage_metadata", 403
            )
        if not self.token.has_any(("pages_manage_metadata",)):
            raise errors.permission_missing("pages_manage_metadata", 403)


def viewer_of(world: World, switches: Switches, token: Token) -> Viewer:
    return Viewer(
        world=world,
        switches=switches,
        token=token,
        business=world.businesses.get(token.business_id),
        member=_member_of_token(world, token),
    )


def _member_of_token(world: World, token: Token) -> Member | None:
    if token.type == "PAGE":
        origin = world.tokens.get(token.origin_text)
        return None if origin is None else _member_of_token(world, origin)
    account: Account | None = world.accounts.get(token.owner_id)
    return world.members.get(token.owner_id if account is None else account.person_id)
