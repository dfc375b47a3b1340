"""Assigned users in the rows of assets: the rows that are complete, and those read again."""

from typing import Any

import pytest

from partner_connector.worker.meta.access import access_from_row
from partner_connector.worker.meta.shared_assets import OURS_TO_PARTNER, SharedAsset

PARTNER = "900"
CATALOG = SharedAsset("product_catalog", "30", "Catalog", OURS_TO_PARTNER, None)


def assigned_user(number: str, business: object = None) -> dict[str, Any]:
    """Return one row of `assigned_users`."""
    named = {} if business is None else {"business": business}
    return {"id": number, "name": f"Person {number}", "tasks": ["MANAGE"], **named}


def edge_answer(*rows: dict[str, Any], **more: object) -> dict[str, Any]:
    """Return the answer of an edge."""
    return {"data": list(rows), **more}


def test_row_that_names_business_of_every_user_is_complete() -> None:
    """Require also that the count agrees."""
    partner_business = {"id": PARTNER}
    found = access_from_row(
        CATALOG,
        edge_answer(
            assigned_user("1", partner_business),
            assigned_user("2", partner_business),
            summary={"total_count": 2},
        ),
        PARTNER,
    )

    assert found is not None
    assert found.is_complete
    assert [row["id"] for row in found.rows] == ["1", "2"]


@pytest.mark.parametrize(
    "nested",
    [
        edge_answer(assigned_user("1")),
        edge_answer(assigned_user("1", {"id": PARTNER}), assigned_user("2")),
        edge_answer(assigned_user("1", {"id": PARTNER}), assigned_user("2", {"id": "777"})),
        edge_answer(assigned_user("1", PARTNER)),
        edge_answer({"name": "Ada", "business": {"id": PARTNER}}),
        edge_answer(assigned_user("1", {"id": PARTNER}), summary={"total_count": 2}),
        edge_answer(
            assigned_user("1", {"id": PARTNER}),
            paging={"cursors": {"after": "c"}, "next": "https://x"},
        ),
        edge_answer(),
        {"error": {"code": 1}},
        {},
    ],
    ids=[
        "no business named",
        "one user without a business",
        "another business: the filter was ignored",
        "a business of another shape",
        "user without an id",
        "fewer than counted",
        "more pages",
        "empty without a count",
        "an error",
        "nothing",
    ],
)
def test_any_other_row_is_read_again_from_the_asset(nested: dict[str, Any]) -> None:
    """Neither store users from such a row nor take it as complete."""
    assert access_from_row(CATALOG, nested, PARTNER) is None
