"""Pagination of lists: `page_size`, `cursor`, and the `Link` header to the next page."""

import json
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Query, Response
from pydantic_core import to_json
from starlette.datastructures import URL

from partner_connector.db.keyset import CursorCodec, PageRequest
from partner_connector.web.schemas import MAX_CURSOR_LENGTH

# These parameters change the page, but not the list, so a cursor stays valid.
_NOT_FILTERS = frozenset({"cursor", "page_size", "expand"})

PageSize = Annotated[
    int,
    Query(ge=1, le=100, description="The maximum number of items in the page.", examples=[25]),
]
CursorText = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=MAX_CURSOR_LENGTH,
        pattern=r"^[A-Za-z0-9_\-]+$",
        description="`next_cursor` of the previous page. Leave it out for the first page.",
        examples=["next-cursor-of-the-previous-page"],
    ),
]


class ListRequest(PageRequest):
    """Request for one page of a list, which also builds the response."""

    def __init__(
        self, size: int, cursor: str | None, codec: CursorCodec, url: URL, response: Response
    ) -> None:
        super().__init__(size, cursor, codec, _list_fingerprint(url))
        self._url = url
        self._response = response

    def link_next(self, cursor: str | None) -> None:
        """Add a `Link` header to the next page, if there is a next page."""
        if cursor is not None:
            next_url = self._url.include_query_params(cursor=cursor)
            self._response.headers["Link"] = f'<{next_url.path}?{next_url.query}>; rel="next"'

    def answer(self, items: Sequence[Any], next_cursor: str | None) -> Response:
        """Return the page as JSON. Items are views, or dictionaries that are in JSON form already.

        Without this response, FastAPI would validate each item against the declared model again.
        """
        self.link_next(next_cursor)
        document = to_json({"next_cursor": next_cursor, "items": items})
        return Response(document, headers=self._response.headers, media_type="application/json")


def _list_fingerprint(url: URL) -> str:
    parameters = parse_qsl(url.query, keep_blank_values=True)
    filters = sorted((name, value) for name, value in parameters if name not in _NOT_FILTERS)
    return json.dumps([url.path, filters])
