"""Pages of a list over HTTP: `page_size`, `cursor`, and the `Link` header to the next page."""

import json
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Query, Response
from pydantic_core import to_json
from starlette.datastructures import URL

from partner_connector.db.keyset import CursorCodec, PageRequest
from partner_connector.web.schemas import LONGEST_CURSOR

# They shape a page, not the list.
_NOT_FILTERS = frozenset({"cursor", "page_size", "expand"})

PageSize = Annotated[
    int,
    Query(ge=1, le=100, description="How many items a page holds at most.", examples=[25]),
]
CursorText = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=LONGEST_CURSOR,
        pattern=r"^[A-Za-z0-9_\-]+$",
        description="`next_cursor` of the page before; leave it out for the first page.",
        examples=["next-cursor-of-the-page-before"],
    ),
]


class ListRequest(PageRequest):
    """One call of a list operation: the page that is asked for, and its answer."""

    def __init__(
        self, size: int, cursor: str | None, codec: CursorCodec, url: URL, response: Response
    ) -> None:
        super().__init__(size, cursor, codec, _shape(url))
        self._url = url
        self._response = response

    def link_next(self, cursor: str | None) -> None:
        """Name the next page in the `Link` header, if there is one."""
        if cursor is not None:
            following = self._url.include_query_params(cursor=cursor)
            self._response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'

    def answer(self, items: Sequence[Any], next_cursor: str | None) -> Response:
        """The page, written once: items are views, or rows as the wire has them already.

        FastAPI would validate what it was given against the declared model, item by item, to write
        down the same.
        """
        self.link_next(next_cursor)
        document = to_json({"next_cursor": next_cursor, "items": items})
        return Response(document, headers=self._response.headers, media_type="application/json")


def _shape(url: URL) -> str:
    parameters = parse_qsl(url.query, keep_blank_values=True)
    filters = sorted((name, value) for name, value in parameters if name not in _NOT_FILTERS)
    return json.dumps([url.path, filters])
