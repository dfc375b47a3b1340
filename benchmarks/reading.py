"""Speed of reads: a page of 100 out of a million users, and the cheapest operation.

Each contender is a separate process with the same uvicorn and database. It gets requests over 16
connections as fast as it answers. `reading_apps` describes the contenders.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr
from sqlalchemy import event

from benchmarks.customer import Customer
from benchmarks.load import Address, requests_a_second
from benchmarks.many_users import store_users
from benchmarks.measure import Goal, Options, Report, Row, in_turn, run
from benchmarks.product import DATABASES, Product, product
from benchmarks.reading_apps import hello, raw, tutorial
from benchmarks.serving import served
from partner_connector.db.engine import open_database
from partner_connector.db.keyset import CursorCodec, PageRequest
from partner_connector.features.partner_users.repository import (
    PartnerUserFilter,
    PartnerUserRepository,
)
from partner_connector.ids import decode
from partner_connector.settings import without_environment
from tests.support.processes import api_process

PAGE_SIZE = 100
PARTNERS = 20
MIN_RATIO_RAW = 0.7
MIN_RATIO_TUTORIAL = 4.0
MAX_RATIO_DEEP = 1.1
MIN_RATIO_HELLO = 0.6
NO_OP = "/v1/sealing-keys"
_NO_META = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL statement and parameters as passed to the driver."""

    statement: str
    parameters: Any


def measure(options: Options) -> Report:
    """Measure all contenders in turn, first on one database, then on the other."""
    size, seconds = options.size(1_000_000, 4_000), options.size(4, 1)
    table: list[Row] = []
    goals: list[Goal] = []
    with served(hello) as hello_url:
        for database in DATABASES:
            with product(database, _NO_META) as running:
                rates = _measure_rates(running, hello_url, size, seconds, options.repeat)
            found = {
                name: Row(f"{database}, {name}", values, "requests/s")
                for name, values in rates.items()
            }
            table += found.values()
            goals += _goals(database, {name: row.median for name, row in found.items()})
    world = (
        f"GET /v1/partner-users, {PAGE_SIZE} a page, of {size:,} users at {PARTNERS} partners; "
        "one server process, 16 connections."
    )
    return Report("Reading", world, table, goals)


def _goals(database: str, rate: dict[str, float]) -> list[Goal]:
    page, deep = rate["product, page of a partner"], rate["product, page 10,000"]
    nothing = rate[f"product, {NO_OP}"]
    return [
        Goal(f"page / raw, {database}", page / rate["raw"], MIN_RATIO_RAW, at_least=True),
        Goal(
            f"page / tutorial, {database}",
            page / rate["tutorial"],
            MIN_RATIO_TUTORIAL,
            at_least=True,
        ),
        Goal(
            f"cost of page 10,000 / 1, {database}", rate["product, page 1"] / deep, MAX_RATIO_DEEP
        ),
        Goal(f"no-op / hello, {database}", nothing / rate["hello"], MIN_RATIO_HELLO, at_least=True),
    ]


def _measure_rates(
    running: Product, hello_url: str, size: int, seconds: float, repeat: int
) -> dict[str, list[float]]:
    workspace_id, key = running.new_workspace()
    # One more page, so that the last measured page has a next page like all others.
    partner_id = asyncio.run(
        store_users(running.database_url, workspace_id, size + PAGE_SIZE, PARTNERS)
    )
    headers = {"Authorization": f"Bearer {key}"}
    all_of_them = f"/v1/partner-users?page_size={PAGE_SIZE}"
    of_partner = f"{all_of_them}&partner_id={partner_id}&state=active&kind=person"
    with api_process(running.api_settings, running.directory, name="reading") as api:
        cursor = _cursor_of_page(Customer(api.url, key), size // PAGE_SIZE)
        sent = asyncio.run(_record_statement(running.database_url, workspace_id, partner_id))
        with (
            served(raw, running.database_url, sent.statement, sent.parameters) as raw_url,
            served(tutorial, running.database_url) as tutorial_url,
        ):
            addresses = {
                "raw": f"{raw_url}{of_partner}",
                "tutorial": f"{tutorial_url}{of_partner}",
                "product, page of a partner": f"{api.url}{of_partner}",
                "product, page 1": f"{api.url}{all_of_them}",
                "product, page 10,000": f"{api.url}{all_of_them}&cursor={cursor}",
                "hello": f"{hello_url}/",
                f"product, {NO_OP}": f"{api.url}{NO_OP}",
            }
            _check_same_answers(addresses, headers)
            return in_turn(
                repeat,
                {
                    name: _load_function(Address(address, headers), seconds)
                    for name, address in addresses.items()
                },
            )


def _load_function(address: Address, seconds: float) -> Callable[[], float]:
    return lambda: requests_a_second(address, seconds)


def _check_same_answers(addresses: Mapping[str, str], headers: Mapping[str, str]) -> None:
    """Raise `RuntimeError` if the contenders answer different items."""
    items = {
        name: httpx.get(addresses[name], headers=headers, trust_env=False).json()["items"]
        for name in ("product, page of a partner", "raw", "tutorial")
    }
    ours = items["product, page of a partner"]
    if len(ours) != PAGE_SIZE or any(theirs != ours for theirs in items.values()):
        raise RuntimeError("the contenders answer differently")


def _cursor_of_page(customer: Customer, page: int) -> str:
    """Return the cursor of a page, found by reading all pages before it."""
    path = f"/v1/partner-users?page_size={PAGE_SIZE}"
    cursor = ""
    for _ in range(page - 1):
        cursor = customer.get(f"{path}&cursor={cursor}" if cursor else path)["next_cursor"]
    return cursor


async def _record_statement(database_url: str, workspace_id: str, partner_id: str) -> Statement:
    """Return the product's last SQL statement for the page."""
    database = open_database(without_environment(database_url=SecretStr(database_url)))
    last: list[Statement] = []

    def record(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        last.append(Statement(statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", record)
    only = PartnerUserFilter(
        partner_id=decode("ptn", partner_id), state=["active"], kind=["person"]
    )
    page = PageRequest(PAGE_SIZE, None, CursorCodec(os.urandom(32)), "/")
    async with database.reading() as session:
        await PartnerUserRepository(session, decode("wsp", workspace_id)).page(page, only, "name")
    await database.close()
    return last[-1]


if __name__ == "__main__":
    run(__doc__, measure)
