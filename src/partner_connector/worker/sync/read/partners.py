"""Which businesses share assets with ours: agencies and clients, page by page into staging."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import StagedPartner
from partner_connector.db.sql import clean, write_rows
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

# The row fields of `agencies` and `clients` that tell shared assets (REFERENCE 2.2 [S]).
_PERMISSION_FIELDS = {
    "ad_account": "adaccount_permissions",
    "page": "page_permissions",
    "product_catalog": "productcatalog_permissions",
}


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the relation as far as Meta shows it: what is missing may be there."""

    edge: str
    # None where Meta refused the list: unknown, not empty.
    rows: list[dict[str, Any]] | None
    # The code and detail of a warning, where not all was shown.
    warning: tuple[str, str] | None = None


async def _first_page(reader: GraphReader, read: Read) -> FirstPage:
    """Read page one with every field or, where one is refused, id and name alone (plan a1)."""
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
    # An empty list without a count proves nothing: Meta shortens silently (DOMAIN, failure 2).
    if (total is None and not rows) or (total is not None and seen < total):
        counted = "gave no count" if total is None else f"counts {total}"
        detail = f"Meta showed {len(rows)} rows of {read.edge} and {counted}."
        return Side(read.edge, rows, ("edge_incomplete", detail))
    return Side(read.edge, rows)


async def stage_side(
    session: AsyncSession, job_id: uuid.UUID, side: str, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Replace what was staged of this side."""
    await session.execute(
        delete(StagedPartner).where(StagedPartner.job_id == job_id, StagedPartner.side == side)
    )
    staged = {
        str(row["id"]): {
            "job_id": job_id,
            "meta_business_id": str(row["id"]),
            "side": side,
            "name": clean(row.get("name") or row["id"], 500),
            "shared_asset_counts": asset_counts(row),
        }
        for row in rows
    }
    await write_rows(
        session, StagedPartner, list(staged.values()), key=("job_id", "meta_business_id", "side")
    )


def asset_counts(row: Mapping[str, Any]) -> dict[str, int] | None:
    """Shared assets by type as far as the row tells; None where Meta left them out.

    The inner shape of the permission rows is not documented (REFERENCE 12.1): they are counted,
    except those that say they are not confirmed yet.
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
