"""Random restrictions on what a check for updates can read of a partner."""

import random
from collections.abc import Callable

from tests.journey.deck import Deck
from tests.journey.meta import Json, Meta

_REFUSED = {"error": {"code": 200, "message": "(#200) Permissions error"}}
_EMPTY = {"http": 200, "body": '{"data":[],"summary":{"total_count":0}}'}
_LISTS = ("client_ad_accounts", "client_pages", "client_product_catalogs", "client_pixels")
_PEOPLE = ("business_users", "system_users", "business_asset_groups", "accounts")
_SCOPES = ("ads_management", "business_management", "catalog_management", "pages_show_list")


def _token_of(partner: Json) -> str:
    return f"{partner['id']}/good"


def refused_list(meta: Meta, partner: Json, dice: random.Random) -> None:
    """Refuse the list of one type of shared assets."""
    meta.fault({"edge": dice.choice(_LISTS), "owner": _token_of(partner)}, _REFUSED)


def empty_list(meta: Meta, partner: Json, dice: random.Random) -> None:
    """Return an empty list of one type of shared assets, without an error."""
    meta.fault({"edge": dice.choice(_LISTS), "owner": _token_of(partner)}, _EMPTY)


def refused_people(meta: Meta, partner: Json, dice: random.Random) -> None:
    """Refuse one list of the partner's people, system users, groups or Page tokens."""
    meta.fault({"edge": dice.choice(_PEOPLE), "owner": _token_of(partner)}, _REFUSED)


def refused_page(meta: Meta, partner: Json, dice: random.Random) -> None:
    """Refuse the list of users assigned to one Page."""
    pages = [one["id"] for one in partner["shared_assets"] if one["type"] == "page"]
    if pages:
        match = {"edge": "assigned_users", "path_prefix": dice.choice(pages)}
        meta.fault({**match, "owner": _token_of(partner)}, _REFUSED)


def lost_scope(meta: Meta, partner: Json, dice: random.Random) -> None:
    """Remove one scope from the token."""
    meta.mutate("remove_scope", partner=partner["id"], scope=dice.choice(_SCOPES))


def narrowed_scopes(meta: Meta, partner: Json, _dice: random.Random) -> None:
    """Keep the token's scopes, with fewer assets in them."""
    meta.mutate("narrow_scopes", partner=partner["id"])


def lower_role(meta: Meta, partner: Json, _dice: random.Random) -> None:
    """Downgrade the token's system user to an employee."""
    meta.mutate("downgrade_system_user", partner=partner["id"])


def lapsed_app(meta: Meta, _partner: Json, _dice: random.Random) -> None:
    """Hide ad accounts that are shared with a business from it."""
    meta.switch(client_ad_accounts_lapsed=True)


def refused_partners(meta: Meta, _partner: Json, dice: random.Random) -> None:
    """Refuse one direction of our own list of partners."""
    edge = dice.choice(("agencies", "clients"))
    meta.fault({"edge": edge, "path_prefix": meta.host()["id"]}, _REFUSED)


def hiccup(meta: Meta, partner: Json, _dice: random.Random) -> None:
    """Fail one request with an error that passes; no check loses data by it."""
    error = {"error": {"code": 2}}
    meta.fault({"edge": "system_users", "owner": _token_of(partner)}, error, times=1)


Restriction = Callable[[Meta, Json, random.Random], None]

_KINDS: tuple[Restriction, ...] = (
    refused_list,
    empty_list,
    refused_people,
    refused_page,
    lost_scope,
    narrowed_scopes,
    lower_role,
    lapsed_app,
    refused_partners,
    hiccup,
)

# No error and an unchanged token: a check cannot know that new shared assets are hidden.
SILENT = {empty_list.__name__, lapsed_app.__name__}


class Restrictor:
    """Restrictions on some partners for the next check, and their removal."""

    def __init__(self, meta: Meta, dice: random.Random) -> None:
        self._meta = meta
        self._dice = dice
        self._kinds = Deck(dice, _KINDS)

    def strike(self) -> list[str]:
        """Restrict the next check of some partners; return the names of the restrictions."""
        struck = []
        for partner in self._meta.partners().values():
            if self._dice.random() < 0.4:
                kind = self._kinds.draw()
                kind(self._meta, partner, self._dice)
                struck.append(kind.__name__)
        return struck

    def heal(self) -> None:
        """Remove all restrictions."""
        self._meta.heal()
        self._meta.switch(client_ad_accounts_lapsed=False)
        for business_id in self._meta.partners():
            self._meta.mutate("restore_token", partner=business_id)
            self._meta.mutate("upgrade_system_user", partner=business_id)
