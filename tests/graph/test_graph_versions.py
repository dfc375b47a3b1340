"""Graph API versions: the version that answers, and the last day of the requested one."""

from datetime import date, timedelta
from itertools import pairwise

import pytest

from partner_connector.graph import edges, sunset, version_warnings
from partner_connector.graph.versions import KNOWN_VERSIONS

from .meta import Meta, error, reply

TODAY = date(2026, 11, 25)


def warning_codes(asked: str, served: str | None, today: date = TODAY) -> list[str]:
    """Return the codes of the warnings."""
    return [str(warning.code) for warning in version_warnings(asked, served, today)]


def test_version_ends_two_years_after_next_release() -> None:
    """Hold Meta's rule for every row of the table but one, which Meta shortened."""
    rows = list(KNOWN_VERSIONS.values())
    assert rows == sorted(rows, key=lambda row: row[0], reverse=True)
    for (next_released, _), (_, last_day) in pairwise(rows):
        assert last_day is not None
        assert timedelta(0) <= next_released.replace(year=next_released.year + 2) - last_day
    assert sunset("v25.0") == date(2028, 7, 29)


@pytest.mark.parametrize("version", ["v26.0", "v27.0", "v1.0"])
def test_unknown_or_newest_version_has_no_last_day(version: str) -> None:
    assert sunset(version) is None
    assert warning_codes(version, version) == []


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
def test_version_mismatch_and_near_end_are_warnings(
    asked: str, served: str | None, expected: list[str]
) -> None:
    """Expect no mismatch before the first response."""
    assert warning_codes(asked, served) == expected


@pytest.mark.parametrize(
    ("days_before", "is_warned"), [(365, False), (91, False), (90, True), (0, True), (-400, True)]
)
def test_near_end_is_a_warning_from_90_days_before(days_before: int, is_warned: bool) -> None:
    """Keep the warning for as long as the version is requested."""
    last_day = sunset("v25.0")
    assert last_day is not None
    today = last_day - timedelta(days=days_before)
    assert bool(warning_codes("v25.0", "v25.0", today)) is is_warned


def test_warning_names_versions_and_day() -> None:
    mismatch, near_end = version_warnings("v20.0", "v21.0", TODAY)
    assert mismatch.detail == "Meta was asked for Graph API v20.0, but answers with v21.0."
    assert near_end.detail == "Meta stopped serving Graph API v20.0 on 2026-09-24."
    (near_end,) = version_warnings("v21.0", "v21.0", TODAY)
    assert near_end.detail == "Meta stops serving Graph API v21.0 on 2027-01-21."


async def test_reader_records_version_of_its_own_calls(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Ignore other readers' responses, include failed ones, and log a difference once."""
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


async def test_other_version_of_failed_call_is_kept() -> None:
    failed = error(200)
    failed.headers["facebook-api-version"] = "v25.0"
    meta = Meta(failed, reply({}, facebook_api_version="v26.0"))
    client = meta.client()
    reader = client.reader("T")

    with pytest.raises(Exception, match="code 200"):
        await reader.get(edges.me())
    await reader.get(edges.me())

    assert reader.meter.served_version == "v25.0"
