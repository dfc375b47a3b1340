"""Reads of the agencies and clients of our own business into staging."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import StagedPartner
from partner_connector.db.sql import storable_text, write_rows
from partner_connector.graph import (
    REFUSALS,
    FirstPage,
    GraphReader,
    InvalidRequest,
    PermissionMissing,
    Read,
    edges,
)

SIDES = {"agency": edges.agencies, "client": edges.clients}

# Fields of `agencies` and `clients` with shared assets
# (`docs/reference/graph-facts.md#partner-lists`).
_PERMISSION_FIELDS = {
    "ad_account": "adaccount_permissions",
    "page": "page_permissions",
    "product_catalog": "productcatalog_permissions",
}


@dataclass(frozen=True, slots=True)
class Side:
    """Businesses on one side of the relationship, as far as Meta shows them."""

    edge: str
    # None if Meta refused the list: unknown, not empty.
    rows: list[dict[str, Any]] | None
    # Code and detail of a warning if the list is refused or incomplete.
    warning: tuple[str, str] | None = None


async def _first_page(reader: GraphReader, read: Read) -> FirstPage:
    """Read page one, with only id and name if Meta refuses the other fields (`#plan-partners`)."""
    try:
        return FirstPage(read, await reader.get(read))
    except (InvalidRequest, PermissionMissing):
        plain = edges.plain(read)
        return FirstPage(plain, await reader.get(plain))


async def read_side(reader: GraphReader, side: str, business_id: str) -> Side:
    """Read all businesses on one side."""
    read = SIDES[side](business_id)
    try:
        first = await _first_page(reader, read)
    except REFUSALS as error:
        detail = f"Meta refused to list {read.edge}: {error}"
        return Side(read.edge, None, ("edge_refused", detail))
    rows, total = await reader.counted_rows(first)
    seen = len({row["id"] for row in rows})
    # An empty list without a count may be incomplete: Meta shortens silently (`#short-lists`).
    if (total is None and not rows) or (total is not None and seen < total):
        counted = "gave no count" if total is None else f"counts {total}"
        detail = f"Meta returned {len(rows)} rows of {read.edge} and {counted}."
        return Side(read.edge, rows, ("edge_incomplete", detail))
    return Side(read.edge, rows)


async def stage_side(
    session: AsyncSession, job_id: uuid.UUID, side: str, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Replace the staged rows of this side."""
    await session.execute(
        delete(StagedPartner).where(StagedPartner.job_id == job_id, StagedPartner.side == side)
    )
    staged = {
        str(row["id"]): {
            "job_id": job_id,
            "meta_business_id": str(row["id"]),
            "side": side,
            "name": storable_text(row.get("name") or row["id"], 500),
            "shared_asset_counts": asset_counts(row),
        }
        for row in rows
    }
    await write_rows(
        session, StagedPartner, list(staged.values()), key=("job_id", "meta_business_id", "side")
    )


def asset_counts(row: Mapping[str, Any]) -> dict[str, int] | None:
    """Return the number of shared assets by type; None if the row does not hold them.

    The shape of permission rows is not documented (`#open-permission-rows`). All rows count,
    except those with a status other than CONFIRMED.
    """
    if not any(field in row for field in _PERMISSION_FIELDS.values()):
        return None
    return {
        asset_type: sum(_is_confirmed(entry) for entry in _entries(row.get(field)))
        for asset_type, field in _PERMISSION_FIELDS.items()
    }


def _entries(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        value = value.get("data", [])
    return value if isinstance(value, list) else []


def _is_confirmed(entry: Any) -> bool:
    status = entry.get("access_status") if isinstance(entry, Mapping) else None
    return status in {None, "CONFIRMED"}
