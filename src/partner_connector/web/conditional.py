"""Conditional requests (RFC 9110, section 13): not sent twice, and not overwritten unseen.

A tag is a digest of the very representation that is answered, so that it covers what is derived as
well as what is stored, and nobody has to count versions.
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
        description="Do it only while the resource is what the `ETag` was given for, else `412`; "
        "`*` while there is one at all.",
        examples=['"1f0c8f2a9b7d4e6355a1c0de42b79f13"'],
    ),
]
IfNoneMatch = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        max_length=1000,
        pattern=r"^[\x20-\x7e\t]*$",
        description="The tags that you know: where it is still one of them, `304` without a body.",
        examples=['"1f0c8f2a9b7d4e6355a1c0de42b79f13"'],
    ),
]


def etag(view: BaseModel) -> str:
    """The strong tag of what is answered."""
    text = view.model_dump_json(by_alias=True)
    return f'"{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"'


def tell(response: Response, view: View) -> View:
    """Answer the view with its tag."""
    response.headers["ETag"] = etag(view)
    return view


class KnownTags:
    """What the reader has already."""

    def __init__(self, response: Response, if_none_match: str | None) -> None:
        self._response = response
        self._if_none_match = if_none_match

    def answer(self, view: View) -> View:
        """The view, or `304` where the reader has exactly this."""
        tell(self._response, view)
        tag = self._response.headers["ETag"]
        if self._if_none_match is not None and _names(self._if_none_match, tag, weakly=True):
            raise EarlyAnswer(304, b"", {"ETag": tag})
        return view


class Preconditions:
    """What the writer takes the resource for."""

    def __init__(self, if_match: str | None = None, if_none_match: str | None = None) -> None:
        self._if_match = if_match
        self._if_none_match = if_none_match

    def __bool__(self) -> bool:
        """Whether there are any: what they are about need not be read for nothing."""
        return self._if_match is not None or self._if_none_match is not None

    @property
    def forbid_overwriting(self) -> bool:
        """Whether they are about one state, and not only about there being one."""
        is_any = self._if_match is None or self._if_match.strip() == "*"
        return not is_any or self._if_none_match is not None

    def require(self, view: BaseModel | None) -> None:
        """Raise `PreconditionFailed` unless this, or that there is none, is what was meant.

        The caller holds the row locked, in the transaction that writes.
        """
        tag = None if view is None else etag(view)
        if self._if_match is not None and not _names(self._if_match, tag, weakly=False):
            raise PreconditionFailed
        if self._if_none_match is not None and _names(self._if_none_match, tag, weakly=True):
            raise PreconditionFailed


def _names(header: str, tag: str | None, *, weakly: bool) -> bool:
    """Whether the header's tags name this one. What cannot be read as tags names none."""
    if tag is None:
        return False
    if header.strip() == "*":
        return True
    if not _TAGS.fullmatch(header):
        return False
    return any(each == tag and (weakly or not weak) for weak, each in re.findall(_TAG, header))


def _all_lines(request: Request, name: str) -> str | None:
    """A list may come in several header lines, which mean what one line with all of it means."""
    lines = request.headers.getlist(name)
    return ", ".join(lines) if lines else None


async def known_tags(
    request: Request, response: Response, _one_line: IfNoneMatch = None
) -> KnownTags:
    """For a resource that is read again and again."""
    return KnownTags(response, _all_lines(request, "If-None-Match"))


async def if_match(request: Request, _one_line: IfMatch = None) -> Preconditions:
    """For a resource that is changed or removed."""
    return Preconditions(_all_lines(request, "If-Match"))


async def if_match_or_none(
    request: Request, _match: IfMatch = None, _none_match: IfNoneMatch = None
) -> Preconditions:
    """For a resource that may have to be made first."""
    return Preconditions(_all_lines(request, "If-Match"), _all_lines(request, "If-None-Match"))


KnownTagsDep = Annotated[KnownTags, Depends(known_tags)]
IfMatchDep = Annotated[Preconditions, Depends(if_match)]
IfMatchOrNoneDep = Annotated[Preconditions, Depends(if_match_or_none)]
