"""A Graph server with very low cost, so that benchmarks measure the product only.

It answers the reads of a token validation and of a check for updates, in Meta's format and with
Meta's paging. It answers all other requests with an error. It has no permissions and no faults:
`graph-simulator` is realistic, this server is only fast.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from benchmarks.fast_world import (
    APP_ID,
    EDGE_OF_KIND,
    KINDS,
    SCOPES,
    Name,
    Size,
    asset_at,
    asset_fields,
    assigned_rows,
    business_row,
    owner_of,
    parse_id,
    partner_at,
    person_row,
    shift_of,
    system_user_of,
    system_user_row,
    token_of,
    user_of,
)
from benchmarks.serving import served

_META_PAGE_SIZE = 25
_VERSION = re.compile(r"/v\d+\.\d+")
_PEOPLE_LIMIT = re.compile(r"assigned_users\.business\(\d+\)\.limit\((\d+)\)")
_HEADERS = [(b"content-type", b"application/json"), (b"facebook-api-version", b"v26.0")]

Params = dict[str, str]
Message = MutableMapping[str, Any]


class FastGraph:
    """ASGI app for the hosts of these sizes."""

    def __init__(self, sizes: Sequence[Size]) -> None:
        self._sizes = sizes
        self._people_are_shown = True
        self._requests = 0
        # As Meta counts them: each operation of a batch is one.
        self._calls = 0

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        status, answer = self._answer(scope, body)
        await send({"type": "http.response.start", "status": status, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": answer.encode()})

    def _answer(self, scope: Message, body: bytes) -> tuple[int, str]:
        params = dict(parse_qsl(scope["query_string"].decode()))
        if scope["path"] == "/people":
            self._people_are_shown = params["shown"] == "1"
            return 200, "{}"
        if scope["path"] == "/calls":
            return 200, json.dumps([self._requests, self._calls])
        self._requests += 1
        token = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
        form = dict(parse_qsl(body.decode()))
        token = form.get("access_token", token)
        if "batch" in form:
            return 200, self._batch(form["batch"], token)
        return self._read(scope["path"], params, token)

    def _batch(self, operations: str, token: str) -> str:
        return f"[{','.join(self._item(one, token) for one in json.loads(operations))}]"

    def _item(self, operation: dict[str, Any], token: str) -> str:
        address = urlsplit(operation["relative_url"])
        for header in operation.get("headers", ()):
            token = header["value"].removeprefix("Bearer ")
        status, body = self._read(f"/{address.path}", dict(parse_qsl(address.query)), token)
        return f'{{"code":{status},"headers":[],"body":{json.dumps(body)}}}'

    def _read(self, path: str, params: Params, token: str) -> tuple[int, str]:
        self._calls += 1
        try:
            return 200, self._answer_read(_VERSION.sub("", path, count=1).strip("/"), params, token)
        except (KeyError, ValueError) as error:
            return 400, _error(f"The fast Graph server does not know {path}: {error!r}")

    def _answer_read(self, path: str, params: Params, token: str) -> str:
        if path == "debug_token":
            return _inspection(params["input_token"])
        node, _, edge = path.partition("/")
        if node == "me":
            return self._of_token(owner_of(token), edge, params)
        return self._of_node(parse_id(node), edge, params)

    def _of_token(self, owner: Name, edge: str, params: Params) -> str:
        if edge == "accounts":
            return self._assets(owner, "page", params, _page_with_token)
        if edge == "assigned_ad_accounts":
            return self._assets(owner, "ad_account", params, _asset_with_tasks)
        if edge == "assigned_pages":
            return self._assets(owner, "page", params, _asset_with_tasks)
        if edge:
            raise KeyError(edge)
        me = owner if owner.kind == "page" else system_user_of(owner)
        return json.dumps({"id": me.id, "name": "Agency connector"})

    def _of_node(self, node: Name, edge: str, params: Params) -> str:
        size, total = self._sizes[node.host], 0
        row: Callable[[int], str] = _no_row
        match edge:
            case "":
                return json.dumps({"id": node.id, "client_apps": {"data": [{"id": APP_ID}]}})
            case "assigned_users":
                return self._people(node, params.get("after", ""), _limit(params))
            case "agencies":
                total, row = size.partners, lambda at: business_row(partner_at(node.host, at + 1))
            case "business_users":
                total, row = size.users, lambda at: person_row(user_of(node, at + 1))
            case "system_users":
                total, row = 1, lambda _: system_user_row(node)
            case "clients" | "business_asset_groups":
                pass  # there are none
            case _:
                return self._assets(node, EDGE_OF_KIND[edge], params, self._row_with(params))
        return _page(total, params, row)

    def _assets(self, business: Name, kind: str, params: Params, row: Callable[[Name], str]) -> str:
        if not business.partner:
            return _page(0, params, _no_row)
        first, every = KINDS.index(kind), len(KINDS)
        places = range(first, self._sizes[business.host].assets, every)
        host, partner = business.host, business.partner
        return _page(len(places), params, lambda at: row(asset_at(host, partner, places[at])))

    def _row_with(self, params: Params) -> Callable[[Name], str]:
        """Return a function that renders an asset, with its people if `fields` selects them."""
        people = _PEOPLE_LIMIT.search(params.get("fields", ""))
        if people is None:
            return lambda asset: json.dumps(asset_fields(asset))
        limit = int(people[1])
        return lambda asset: (
            f'{json.dumps(asset_fields(asset))[:-1]},"assigned_users":'
            f"{self._people(asset, '', limit)}}}"
        )

    def _people(self, asset: Name, after: str, limit: int) -> str:
        total = self._sizes[asset.host].users + 1 if self._people_are_shown else 1
        start = _place(after)
        end = min(start + limit, total)
        shift = shift_of(asset)
        rows = assigned_rows(asset.kind, asset.host, asset.partner, shift, start, end)
        return _json_page(rows, start, end, total)


def _page(total: int, params: Params, row: Callable[[int], str]) -> str:
    start = _place(params.get("after", ""))
    end = min(start + _limit(params), total)
    return _json_page(",".join(row(at) for at in range(start, end)), start, end, total)


def _json_page(rows: str, start: int, end: int, total: int) -> str:
    more = f',"next":"https://graph.example/?after=p{end}"' if end < total else ""
    cursors = f'"cursors":{{"before":"p{start}","after":"p{end}"}}'
    summary = f'"summary":{{"total_count":{total}}}'
    return f'{{"data":[{rows}],"paging":{{{cursors}{more}}},{summary}}}'


def _place(cursor: str) -> int:
    return int(cursor.removeprefix("p") or 0)


def _limit(params: Params) -> int:
    return int(params.get("limit", _META_PAGE_SIZE))


def _no_row(place: int) -> str:
    raise IndexError(place)


def _page_with_token(page: Name) -> str:
    return json.dumps({"id": page.id, "access_token": token_of(page), "tasks": ["MANAGE"]})


def _asset_with_tasks(asset: Name) -> str:
    fields = asset_fields(asset)
    return json.dumps({**fields, "tasks": fields["permitted_tasks"]})


def _inspection(token: str) -> str:
    data = {
        "app_id": APP_ID,
        "application": "Assets Manager",
        "type": "SYSTEM_USER",
        "is_valid": True,
        "expires_at": 0,
        "data_access_expires_at": 0,
        "scopes": SCOPES,
        "user_id": system_user_of(owner_of(token)).id,
    }
    return json.dumps({"data": data})


def _error(message: str) -> str:
    return json.dumps({"error": {"message": message, "type": "GraphMethodException", "code": 100}})


@contextmanager
def fast_graph(*sizes: Size) -> Iterator[str]:
    """Run a server with a host of each size in a separate process, and yield its URL."""
    with served(FastGraph, sizes) as url:
        yield url


def calls_so_far(url: str) -> tuple[int, int]:
    """Return the numbers of HTTP requests and of Graph calls so far."""
    requests, calls = httpx.get(f"{url}/calls", trust_env=False).json()
    return requests, calls


def show_people(url: str, shown: bool) -> None:
    """Switch the assignments of people on or off. System users keep theirs."""
    httpx.post(f"{url}/people", params={"shown": int(shown)}, trust_env=False).raise_for_status()
