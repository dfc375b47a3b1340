"""Which tags a header names: lists, weak ones, the star, and what is no tag at all."""

import pytest
from pydantic import BaseModel
from starlette.responses import Response

from partner_connector.errors import PreconditionFailed
from partner_connector.web.conditional import KnownTags, Preconditions, etag
from partner_connector.web.early_answers import EarlyAnswer


class Thing(BaseModel):
    """Something with a representation."""

    name: str


HERE = Thing(name="here")
TAG = etag(HERE)
NAMES_IT = [TAG, f" {TAG} ", f'"other", {TAG}', f'{TAG},"other"', f',, "a,b",\t{TAG},', "*", " * "]
NAMES_IT_WEAKLY = [f"W/{TAG}", f'"other", W/{TAG}']
NAMES_OTHERS = [
    "",
    ",",
    '"other"',
    '""',
    f'"{TAG[1:5]}"',
    TAG.strip('"'),
    TAG.upper(),
    f"w/{TAG}",
    f"W/ {TAG}",
    f'{TAG} "other"',
    f"{TAG}, other",
    f"{TAG}, *",
    f'"{TAG}',
    f'"other, {TAG[1:]}',
]


def is_known(header: str | None) -> bool:
    """Whether a reader with this header is told that nothing is new."""
    response = Response()
    try:
        assert KnownTags(response, header).answer(HERE) is HERE
    except EarlyAnswer as answer:
        return (answer.status, answer.body, answer.headers) == (304, b"", {"ETag": TAG})
    assert response.headers["etag"] == TAG
    return False


def is_refused(conditions: Preconditions, view: Thing | None = HERE) -> bool:
    """Whether a writer with these conditions is stopped."""
    try:
        conditions.require(view)
    except PreconditionFailed:
        return True
    return False


@pytest.mark.parametrize("header", NAMES_IT)
def test_the_tag_is_named(header: str) -> None:
    """As it is, in a list, or by the star that stands for any."""
    assert is_known(header)
    assert not is_refused(Preconditions(header))
    assert is_refused(Preconditions(None, header))


@pytest.mark.parametrize("header", NAMES_IT_WEAKLY)
def test_the_tag_is_named_weakly(header: str) -> None:
    """Good enough to read nothing anew, never to write (RFC 9110, 13.1.1 and 13.1.2)."""
    assert is_known(header)
    assert is_refused(Preconditions(header))
    assert is_refused(Preconditions(None, header))


@pytest.mark.parametrize("header", NAMES_OTHERS)
def test_the_tag_is_not_named(header: str) -> None:
    """Other tags, and what cannot be read as tags: read anew, and write nothing."""
    assert not is_known(header)
    assert is_refused(Preconditions(header))
    assert not is_refused(Preconditions(None, header))


def test_what_is_not_there_has_no_tag() -> None:
    """`If-Match: *` needs something, `If-None-Match: *` needs nothing."""
    assert is_refused(Preconditions("*"), None)
    assert is_refused(Preconditions(TAG), None)
    assert not is_refused(Preconditions(None, "*"), None)
    assert not is_refused(Preconditions(), None)
    assert not is_known(None)
    assert not Preconditions()
    assert Preconditions("")


def test_a_tag_tells_representations_apart() -> None:
    """Strong, quoted, short, the same for the same and another for another."""
    assert etag(Thing(name="here")) == TAG
    assert etag(Thing(name="there")) != TAG
    assert TAG.startswith('"')
    assert len(TAG) == 34
