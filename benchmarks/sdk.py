"""Reads of one partner's people and their access with Meta's official SDK, in its two ways.

Both request the same data as the product, with pages of 100, and keep the result. The SDK has no
types, so its modules are imported by name.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any

PAGE_SIZE = 100
BATCH_SIZE = 50
_PEOPLE = ("id", "name", "email", "title", "role", "two_fac_status", "finance_permission")
_SYSTEM_USERS = ("id", "name", "role")
_ACCESS = ("id", "name", "user_type", "business", "tasks")
_ASSETS = {
    "AdAccount": ("get_client_ad_accounts", ("id", "account_id", "name", "business")),
    "Page": ("get_client_pages", ("id", "name", "business")),
    "ProductCatalog": ("get_client_product_catalogs", ("id", "name", "business")),
    "AdsPixel": ("get_client_pixels", ("id", "name", "owner_business")),
}

FacebookAdsApi: Any = import_module("facebook_business.api").FacebookAdsApi
FacebookSession: Any = import_module("facebook_business.session").FacebookSession

Row = dict[str, Any]
Grants = set[tuple[str, str]]


def point_at(url: str) -> None:
    """Set the URL of the Graph API. The SDK has no option for it."""
    FacebookSession.GRAPH = url


def read_in_sequence(business_id: str, token: str) -> Grants:
    """Read in the usual way: one request after the other, with the SDK's cursors."""
    api = _api(token)
    _read_people(api, business_id)
    grants: Grants = set()
    page_apis = {page: _api(own) for page, own in _page_tokens(api).items()}
    for kind, asset in _assets(api, business_id):
        asset_api = page_apis.get(asset["id"], api)
        node = _node(kind)(asset["id"], api=asset_api)
        params = {"business": business_id, "limit": PAGE_SIZE}
        for user in node.get_assigned_users(fields=list(_ACCESS), params=params):
            grants.add((asset["id"], user["id"]))
    return grants


def read_in_batches(business_id: str, token: str) -> Grants:
    """Read the people of assets with the SDK's batches; further pages in later batches."""
    api = _api(token)
    _read_people(api, business_id)
    tokens = _page_tokens(api)
    grants: Grants = set()
    open_reads = deque((asset["id"], "") for _, asset in _assets(api, business_id))

    def keep(asset_id: str, response: Any) -> None:
        answer = response.json()
        grants.update((asset_id, user["id"]) for user in answer["data"])
        if "next" in answer.get("paging", {}):
            open_reads.append((asset_id, answer["paging"]["cursors"]["after"]))

    while open_reads:
        batch = api.new_batch()
        for _ in range(min(BATCH_SIZE, len(open_reads))):
            asset_id, after = open_reads.popleft()
            params = {"business": business_id, "limit": PAGE_SIZE, "fields": ",".join(_ACCESS)}
            params |= {"after": after} if after else {}
            params |= {"access_token": tokens[asset_id]} if asset_id in tokens else {}
            kept = partial(keep, asset_id)
            path = (asset_id, "assigned_users")
            batch.add("GET", path, params=params, success=kept, failure=_raise)
        batch.execute()
    return grants


def timed(read: Callable[[str, str], Grants], business_id: str, token: str) -> tuple[float, Grants]:
    """Return the seconds that a read takes, and the grants it finds."""
    began = time.perf_counter()
    grants = read(business_id, token)
    return time.perf_counter() - began, grants


def _api(token: str) -> Any:
    return FacebookAdsApi(FacebookSession(access_token=token))


def _read_people(api: Any, business_id: str) -> list[Row]:
    business = _node("Business")(business_id, api=api)
    params = {"limit": PAGE_SIZE}
    people = list(business.get_business_users(fields=list(_PEOPLE), params=params))
    return people + list(business.get_system_users(fields=list(_SYSTEM_USERS), params=params))


def _page_tokens(api: Any) -> dict[str, str]:
    """Return the Page tokens: only they can read the people of a Page."""
    pages = _node("User")("me", api=api).get_accounts(
        fields=["id", "access_token"], params={"limit": PAGE_SIZE}
    )
    return {page["id"]: page["access_token"] for page in pages}


def _assets(api: Any, business_id: str) -> Iterator[tuple[str, Row]]:
    business = _node("Business")(business_id, api=api)
    for kind, (edge, fields) in _ASSETS.items():
        for asset in getattr(business, edge)(fields=list(fields), params={"limit": PAGE_SIZE}):
            yield kind, asset


def _node(name: str) -> Any:
    return getattr(import_module(f"facebook_business.adobjects.{name.lower()}"), name)


def _raise(response: Any) -> None:
    raise response.error()
