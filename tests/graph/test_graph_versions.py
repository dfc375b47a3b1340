"""Which version answers, and until when the one we ask for is served."""

from datetime import date, timedelta
from itertools import pairwise

import pytest

from partner_connector.graph import edges, sunset, version_warnings
from partner_connector.graph.versions import KNOWN_VERSIONS

from .meta import Meta, error, reply

TODAY = date(2026, 11, 25)


def codes(asked: str, served: str | None, today: date = TODAY) -> list[str]:
    """The warnings' codes."""
    return [str(warning.code) for warning in version_warnings(asked, served, today)]


def test_a_version_lives_for_two_years_after_the_next_one() -> None:
    """The table is Meta's own; its rule holds for every row but one, which Meta shortened."""
    rows = list(KNOWN_VERSIONS.values())
    assert rows == sorted(rows, key=lambda row: row[0], reverse=True)
    for (next_released, _), (_, last_day) in pairwise(rows):
        assert last_day is not None
        assert timedelta(0) <= next_released.replace(year=next_released.year + 2) - last_day
    assert sunset("v25.0") == date(2028, 7, 29)


@pytest.mark.parametrize("version", ["v26.0", "v27.0", "v1.0"])
def test_what_is_not_known_has_no_last_day(version: str) -> None:
    """The newest one has no end yet, and of others we know nothing."""
    assert sunset(version) is None
    assert codes(version, version) == []


@pytest.mark.parametrize(
    ("asked", "served", "expected"),
    [
        ("v26.0", "v26.0", []),
        ("v26.0", None, []),
        ("v26.0", "v25.0", ["graph_version_mismatch"]),
        ("v26.0", "v27.0", ["graph_version_mismatch"]),
        ("v21.0", "v21.0", ["graph_version_sunset"]),
        ("v20.0", "v21.0", ["graph_version_mismatch", "graph_version_sunset"]),
        ("v22.0", "v22.0", []),
    ],
)
def test_a_mismatch_and_a_near_end_are_told(
    asked: str, served: str | None, expected: list[str]
) -> None:
    """Each by a code of its own; no answer yet is no mismatch."""
    assert codes(asked, served) == expected


@pytest.mark.parametrize(
    ("days_before", "is_told"), [(365, False), (91, False), (90, True), (0, True), (-400, True)]
)
def test_the_end_is_told_from_90_days_before(days_before: int, is_told: bool) -> None:
    """And for as long as the version is asked for."""
    last_day = sunset("v25.0")
    assert last_day is not None
    today = last_day - timedelta(days=days_before)
    assert bool(codes("v25.0", "v25.0", today)) is is_told


def test_a_warning_names_versions_and_day() -> None:
    """Whoever reads it knows what to change, and by when."""
    mismatch, near_end = version_warnings("v20.0", "v21.0", TODAY)
    assert mismatch.detail == "Meta was asked for Graph API v20.0 and answers with v21.0."
    assert near_end.detail == "Meta stopped serving Graph API v20.0 on 2026-09-24."
    (near_end,) = version_warnings("v21.0", "v21.0", TODAY)
    assert near_end.detail == "Meta stops serving Graph API v21.0 on 2027-01-21."


async def test_each_reader_knows_what_served_its_own_calls(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Another reader's answer says nothing; a failed one does; a difference is logged once."""
    meta = Meta(
        reply({}, facebook_api_version="v27.0"),
        reply({}, facebook_api_version="v26.0"),
        reply({}, facebook_api_version="v27.0"),
    )
    client = meta.client()
    ours, theirs, silent = (client.reader(name) for name in ("OURS", "THEIRS", "SILENT"))

    await ours.get(edges.me())
    await theirs.get(edges.me())
    await ours.get(edges.me())

    assert client.version == "v26.0"
    assert ours.meter.served_version == "v27.0"
    assert theirs.meter.served_version == "v26.0"
    assert silent.meter.served_version is None
    assert [record.message for record in caplog.records] == ["graph_version_differs"]


async def test_one_answer_of_another_version_is_not_forgotten() -> None:
    """Nor overlooked when its call failed."""
    failed = error(200)
    failed.headers["facebook-api-version"] = "v25.0"
    meta = Meta(failed, reply({}, facebook_api_version="v26.0"))
    client = meta.client()
    reader = client.reader("T")

    with pytest.raises(Exception, match="code 200"):
        await reader.get(edges.me())
    await reader.get(edges.me())

    assert reader.meter.served_version == "v25.0"
