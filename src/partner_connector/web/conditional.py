"""Conditional requests (RFC 9110, section 13): unchanged resources are not sent again, and a write
does not overwrite a change that its caller has not seen.

A tag is a digest of the response body, so it covers derived members as well as stored ones, and no
row needs a version number.
"""

import hashlib
import re
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from partner_connector.errors import PreconditionFailed
from partner_connector.web.early_answers import EarlyAnswer

View = TypeVar("View", bound=BaseModel)

_TAG = r'(W/)?("[\x21\x23-\x7e]*")'
_TAGS = re.compile(rf"[ \t,]*(?:{_TAG}[ \t]*(?:,[ \t,]*|$))+")

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=1000,
        pattern=r"^[\x20-\x7e\t]*$",
        description="Perform the operation only if the resource still has one of these `ETag`s, "
        "otherwise return `412`. `*` matches any existing resource.",
        examples=['"1f0c8f2a9b7d4e6355a1c0de42b79f13"'],
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        max_length=1000,
        pattern=r"^[\x20-\x7e\t]*$",
        description="`ETag`s that you have. A read returns `304` without a body if the resource "
        "still has one of them; a write returns `412`. `*` matches any existing resource.",
        examples=['"1f0c8f2a9b7d4e6355a1c0de42b79f13"'],
    ),
]


def etag(view: BaseModel) -> str:
    """Return the strong tag of a response body."""
    text = view.model_dump_json(by_alias=True)
    return f'"{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"'


def with_etag(response: Response, view: View) -> View:
    """Set the `ETag` header for the view, and return the view."""
    response.headers["ETag"] = etag(view)
    return view


class KnownTags:
    """Tags that the client has already, from `If-None-Match` of a read."""

    def __init__(self, response: Response, if_none_match: str | None) -> None:
        self._response = response
        self._if_none_match = if_none_match

    def answer(self, view: View) -> View:
        """Return the view. Raises `EarlyAnswer` with `304` if the client has the same view."""
        with_etag(self._response, view)
        tag = self._response.headers["ETag"]
        if self._if_none_match is not None and _matches(self._if_none_match, tag, weakly=True):
            raise EarlyAnswer(304, b"", {"ETag": tag})
        return view


class Preconditions:
    """Preconditions of a write, from `If-Match` and `If-None-Match`."""

    def __init__(self, if_match: str | None = None, if_none_match: str | None = None) -> None:
        self._if_match = if_match
        self._if_none_match = if_none_match

    def __bool__(self) -> bool:
        """Return whether the request has preconditions. If not, the resource need not be read."""
        return self._if_match is not None or self._if_none_match is not None

    @property
    def forbid_overwriting(self) -> bool:
        """True if the preconditions name one state, and not only any existing resource (`*`)."""
        is_any = self._if_match is None or self._if_match.strip() == "*"
        return not is_any or self._if_none_match is not None

    def require(self, view: BaseModel | None) -> None:
        """Raise `PreconditionFailed` unless the view matches. None means that nothing exists.

        The caller must hold the lock of the row in the transaction that writes.
        """
        tag = None if view is None else etag(view)
        if self._if_match is not None and not _matches(self._if_match, tag, weakly=False):
            raise PreconditionFailed
        if self._if_none_match is not None and _matches(self._if_none_match, tag, weakly=True):
            raise PreconditionFailed


def _matches(header: str, tag: str | None, *, weakly: bool) -> bool:
    """Return whether the header names this tag. A malformed header names no tag."""
    if tag is None:
        return False
    if header.strip() == "*":
        return True
    if not _TAGS.fullmatch(header):
        return False
    return any(each == tag and (weakly or not weak) for weak, each in re.findall(_TAG, header))


def _joined(request: Request, name: str) -> str | None:
    """Return the lines of a header joined to one list: several lines mean the same as one."""
    lines = request.headers.getlist(name)
    return ", ".join(lines) if lines else None


async def known_tags(
    request: Request, response: Response, _declared: IfNoneMatch = None
) -> KnownTags:
    """Return the client's tags, for an operation that reads a resource."""
    return KnownTags(response, _joined(request, "If-None-Match"))


async def if_match(request: Request, _declared: IfMatch = None) -> Preconditions:
    """Return the preconditions of an operation that changes or deletes a resource."""
    return Preconditions(_joined(request, "If-Match"))


async def if_match_or_none(
    request: Request, _match: IfMatch = None, _none_match: IfNoneMatch = None
) -> Preconditions:
    """Return the preconditions of an operation that creates or replaces a resource."""
    return Preconditions(_joined(request, "If-Match"), _joined(request, "If-None-Match"))


KnownTagsDep = Annotated[KnownTags, Depends(known_tags)]
IfMatchDep = Annotated[Preconditions, Depends(if_match)]
IfMatchOrNoneDep = Annotated[Preconditions, Depends(if_match_or_none)]
