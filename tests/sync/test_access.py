"""Who is assigned to an asset: which answers prove it, and which have to be asked anew."""

from typing import Any

import pytest

from partner_connector.worker.meta.access import access_from_row
from partner_connector.worker.meta.shared_assets import OURS_TO_PARTNER, SharedAsset

PARTNER = "900"
CATALOG = SharedAsset("product_catalog", "30", "Catalog", OURS_TO_PARTNER, None)


def person(number: str, business: object = None) -> dict[str, Any]:
    """One row of `assigned_users`."""
    named = {} if business is None else {"business": business}
    return {"id": number, "name": f"Person {number}", "tasks": ["MANAGE"], **named}


def listed(*rows: dict[str, Any], **more: object) -> dict[str, Any]:
    """An edge's answer."""
    return {"data": list(rows), **more}


def test_a_row_that_names_the_business_of_everybody_is_believed() -> None:
    """It is complete where the count agrees."""
    mine = {"id": PARTNER}
    found = access_from_row(
        CATALOG, listed(person("1", mine), person("2", mine), summary={"total_count": 2}), PARTNER
    )

    assert found is not None
    assert found.is_complete
    assert [row["id"] for row in found.rows] == ["1", "2"]


@pytest.mark.parametrize(
    "nested",
    [
        listed(person("1")),
        listed(person("1", {"id": PARTNER}), person("2")),
        listed(person("1", {"id": PARTNER}), person("2", {"id": "777"})),
        listed(person("1", PARTNER)),
        listed({"name": "Nobody", "business": {"id": PARTNER}}),
        listed(person("1", {"id": PARTNER}), summary={"total_count": 2}),
        listed(
            person("1", {"id": PARTNER}), paging={"cursors": {"after": "c"}, "next": "https://x"}
        ),
        listed(),
        {"error": {"code": 1}},
        {},
    ],
    ids=[
        "no business named",
        "one without a business",
        "another business too: the choice was ignored",
        "a business of another shape",
        "somebody without an id",
        "fewer than counted",
        "more pages",
        "empty without a count",
        "an error",
        "nothing",
    ],
)
def test_any_other_row_sends_us_to_the_asset_itself(nested: dict[str, Any]) -> None:
    """Nobody is stored, and nothing is taken for complete, on the word of such a row."""
    assert access_from_row(CATALOG, nested, PARTNER) is None
