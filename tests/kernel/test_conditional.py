"""Entity tags in `If-Match` and `If-None-Match`: lists, weak tags, `*` and malformed tags."""

import pytest
from pydantic import BaseModel
from starlette.responses import Response

from partner_connector.errors import PreconditionFailed
from partner_connector.web.conditional import KnownTags, Preconditions, etag
from partner_connector.web.early_answers import EarlyAnswer


class Thing(BaseModel):
    """Resource with a representation."""

    name: str


HERE = Thing(name="here")
TAG = etag(HERE)
MATCHING = [TAG, f" {TAG} ", f'"other", {TAG}', f'{TAG},"other"', f',, "a,b",\t{TAG},', "*", " * "]
MATCHING_WEAKLY = [f"W/{TAG}", f'"other", W/{TAG}']
NOT_MATCHING = [
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
    """Return whether a read with this `If-None-Match` is answered with 304."""
    response = Response()
    try:
        assert KnownTags(response, header).answer(HERE) is HERE
    except EarlyAnswer as answer:
        return (answer.status, answer.body, answer.headers) == (304, b"", {"ETag": TAG})
    assert response.headers["etag"] == TAG
    return False


def is_refused(conditions: Preconditions, view: Thing | None = HERE) -> bool:
    """Return whether a write with these preconditions is refused."""
    try:
        conditions.require(view)
    except PreconditionFailed:
        return True
    return False


@pytest.mark.parametrize("header", MATCHING)
def test_header_with_tag_matches(header: str) -> None:
    """Cover the tag itself, a list with the tag, and `*`."""
    assert is_known(header)
    assert not is_refused(Preconditions(header))
    assert is_refused(Preconditions(None, header))


@pytest.mark.parametrize("header", MATCHING_WEAKLY)
def test_weak_tag_matches_for_reads_only(header: str) -> None:
    """Check that a weak tag is enough for 304, but not for `If-Match` (RFC 9110, 13.1)."""
    assert is_known(header)
    assert is_refused(Preconditions(header))
    assert is_refused(Preconditions(None, header))


@pytest.mark.parametrize("header", NOT_MATCHING)
def test_header_without_tag_does_not_match(header: str) -> None:
    """Check that other or malformed tags cause no 304, and fail `If-Match`."""
    assert not is_known(header)
    assert is_refused(Preconditions(header))
    assert not is_refused(Preconditions(None, header))


def test_star_tests_existence_of_resource() -> None:
    """Check that `If-Match: *` requires a resource, and `If-None-Match: *` requires none."""
    assert is_refused(Preconditions("*"), None)
    assert is_refused(Preconditions(TAG), None)
    assert not is_refused(Preconditions(None, "*"), None)
    assert not is_refused(Preconditions(), None)
    assert not is_known(None)
    assert not Preconditions()
    assert Preconditions("")


def test_tag_differs_for_different_representations() -> None:
    """Check that tags are strong, quoted and short, and equal for equal representations only."""
    assert etag(Thing(name="here")) == TAG
    assert etag(Thing(name="there")) != TAG
    assert TAG.startswith('"')
    assert len(TAG) == 34
