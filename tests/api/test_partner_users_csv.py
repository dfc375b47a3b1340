"""All partner users as CSV: whole, harmless in a spreadsheet, and never quietly cut off."""

import asyncio
import csv
import io
import re
import socket
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import insert, text

from partner_connector.api.app import create_app
from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import Partner, PartnerUser
from partner_connector.features.partner_users.export import COLUMNS, harmless
from partner_connector.ids import encode, new_id
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from tests.api import rows
from tests.api.problems import assert_problem
from tests.api.rows import SEEN_AT
from tests.support.clients import Tenant
from tests.support.serving import Served, served

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PATH = "/v1/partner-users"
AS_CSV = {"Accept": "text/csv"}

HOSTILE = [
    '=HYPERLINK("http://evil.example","Click")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1+1)",
    "  =1+1",
    "\u00a0\u200b\ufeff=1+1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20A1",
    "\ufe62\u2212",
    "\tx",
    "\rx",
    "\nx",
]
PLAIN = [
    "Ada Example",
    'Bo "the boss", Ltd.',
    "two\r\nlines",
    "semi;colon, tab\there",
    "1=1",
    "O'Neil",
    "日本語 \U0001f600",
    "",
    " ",
]


def read(answer: httpx.Response) -> list[dict[str, str]]:
    """The rows, as Python's reader understands them."""
    assert answer.status_code == 200, answer.text
    text_of_it = io.StringIO(answer.content.decode("utf-8"), newline="")
    return list(csv.DictReader(text_of_it, strict=True))


async def users_named(
    database: Database, workspace_id: UUID, names: Sequence[str], **values: Any
) -> Partner:
    """A partner with these people."""
    ours = rows.integration(workspace_id)
    theirs = rows.partner(ours, name=values.pop("partner_name", "Northwind"))
    people = [rows.partner_user(theirs, name=name, **values) for name in names]
    await rows.store(database, ours, theirs, *people)
    return theirs


@pytest.mark.parametrize("name", HOSTILE)
def test_what_looks_like_a_formula_is_text(name: str) -> None:
    assert harmless(name) == f"'{name}"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Ada;=1+1", "Ada;'=1+1"),
        ("Ada; @SUM(1);b", "Ada;' @SUM(1);b"),
        ("Ada\t=1+1;-1", "Ada\t'=1+1;'-1"),
        ("\t=1", "'\t'=1"),
        ("two\r\n+1", "two\r\n'+1"),
    ],
)
def test_where_semicolons_divide_cells(name: str, told: str) -> None:
    """As in half of Europe: there a spreadsheet takes a line of ours apart at other signs, and pays
    no heed to quotes within.
    """
    assert harmless(name) == told
    for cell in re.split(r"[;\t\r\n]", f'usr_1,"{harmless(name)}"'):
        assert not cell.strip().startswith(("=", "+", "-", "@")), cell


@pytest.mark.parametrize("name", PLAIN)
def test_what_does_not_is_as_it_was(name: str) -> None:
    assert harmless(name) == name


async def test_every_cell_arrives_as_it_is_or_as_text(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Whatever people call themselves, a reader gets it back; nothing begins like a formula."""
    names = HOSTILE + PLAIN
    await users_named(
        database, workspace_id, names, title="=1", email=None, partner_name="@Northwind"
    )
    answer = await api.get(PATH, headers=AS_CSV)
    found = read(answer)

    assert [row["name"] for row in found] == [*(f"'{name}" for name in HOSTILE), *PLAIN]
    assert {(row["title"], row["email"], row["partner_name"]) for row in found} == {
        ("'=1", "", "'@Northwind")
    }
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["content-disposition"] == (
        f'attachment; filename="partner-users-{now():%Y-%m-%d}.csv"'
    )
    assert answer.headers["vary"] == "Accept"
    assert answer.content.count(b"\r\n") >= len(names) + 1
    assert answer.content.startswith(",".join(COLUMNS).encode() + b"\r\n")


async def test_the_columns_say_what_the_list_says(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Each cell is the member of the same name, and ids and times are written alike."""
    await users_named(database, workspace_id, ["Ada"], removed_at=SEEN_AT, asset_count=3)
    [listed] = (await api.get(PATH)).json()["items"]
    [row] = read(await api.get(PATH, headers=AS_CSV))

    partner = (await api.get(f"/v1/partners/{listed['partner_id']}")).json()
    expected = {**listed, "partner_name": partner["name"]}
    assert row == {name: "" if (v := expected[name]) is None else str(v) for name in COLUMNS}


async def test_all_that_match_and_no_other(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID, stranger: Tenant
) -> None:
    """Filters hold, what shapes a page does not; no other workspace's people are in it."""
    many = [f"Person {number}" for number in range(1_203)]
    theirs = await users_named(database, workspace_id, many)
    removed = await users_named(database, workspace_id, ["Gone"], state="removed", role="EMPLOYEE")
    await users_named(database, stranger.workspace_id, ["Stranger"])  # type: ignore[arg-type]

    async def ids(**params: Any) -> list[str]:
        return [row["id"] for row in read(await api.get(PATH, params=params, headers=AS_CSV))]

    everybody = await ids()
    assert len(everybody) == len(set(everybody)) == len(many) + 1
    assert everybody == sorted(everybody)
    assert await ids(page_size=1, sort="-name", expand="grants", cursor="x") == everybody
    assert await ids(state="removed") == await ids(partner_id=encode("ptn", removed.id))
    assert len(await ids(partner_id=encode("ptn", theirs.id))) == len(many)
    assert len(await ids(q="person 12")) == 1 + 10 + 3
    assert await ids(q="nobody") == []
    assert_problem(await api.get(PATH, params={"state": "x"}, headers=AS_CSV), 422)


@ONLY_SQLITE
@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"),
        ("application/json, text/plain, */*", "application/json"),
        ("application/json, text/csv", "application/json"),
        ("text/csv;q=0.5, */*;q=0.6", "application/json"),
        ("text/csv;q=0, */*", "application/json"),
        ("text/csv, */*;q=0.1", "text/csv"),
        ("text/*", "text/csv"),
        ("TEXT/CSV; header=present", "text/csv"),
        ("application/json;q=0.2, text/csv;q=0.9", "text/csv"),
        ("text/csv, */*", "text/csv"),
        ("image/png", None),
        ("*/*;q=0", None),
    ],
)
async def test_what_the_client_prefers(
    api: httpx.AsyncClient, accept: str, kind: str | None
) -> None:
    """JSON unless the client says that it would rather have the other."""
    answer = await api.get(PATH, headers={"Accept": accept})
    if kind is None:
        assert_problem(answer, 406, "not_acceptable")
    else:
        assert answer.headers["content-type"].split(";")[0] == kind


@ONLY_SQLITE
async def test_a_preference_in_several_lines(api: httpx.AsyncClient) -> None:
    """A list may come as several headers of one name (RFC 9110, 5.3), as some proxies send it."""
    lines = [("Accept", "application/xml"), ("Accept", "text/csv")]
    answer = await api.get(PATH, headers=lines)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")


async def many_users(database: Database, workspace_id: UUID, count: int) -> None:
    """So many users with long names."""
    theirs = await users_named(database, workspace_id, [])
    made = [
        {
            "id": new_id(),
            "workspace_id": workspace_id,
            "integration_id": theirs.integration_id,
            "partner_id": theirs.id,
            "meta_user_id": str(number),
            "kind": "person",
            "name": "n" * 500,
            "title": "t" * 500,
            "role_class": "unknown",
            "two_factor": "unknown",
            "first_seen_at": SEEN_AT,
            "last_seen_at": SEEN_AT,
        }
        for number in range(count)
    ]
    async with database.writing() as session:
        await session.execute(insert(PartnerUser), made)


class SlowReader:
    """A client that asks for everything and then reads no more than it is told to."""

    def __init__(self, serving: Served, api_key: str) -> None:
        host, port = serving.url.removeprefix("http://").split(":")
        self.socket = socket.socket()
        # Set before it connects: what the kernel holds for us is then small.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect((host, int(port)))
        self.socket.setblocking(False)
        lines = [
            f"GET {PATH} HTTP/1.1",
            f"Host: {host}",
            f"Authorization: Bearer {api_key}",
            "Accept: text/csv",
            "",
            "",
        ]
        self.socket.send("\r\n".join(lines).encode())

    async def first(self) -> bytes:
        """The head, and the beginning of the first rows."""
        received = b""
        while len(received) < 1000:
            received += await asyncio.get_running_loop().sock_recv(self.socket, 1000)
        return received

    async def rest(self) -> bytes:
        """Everything until the server closes the connection."""
        received = b""
        while piece := await asyncio.get_running_loop().sock_recv(self.socket, 1 << 20):
            received += piece
        return received


async def test_a_file_that_breaks_off_does_not_look_whole(
    settings: Settings,
    keyring: PublicKeyring,
    tenant: Tenant,
    database: Database,
    workspace_id: UUID,
) -> None:
    """The database fails when half is read: the transfer has no end, and every client notices."""
    await many_users(database, workspace_id, 8_000)
    async with served(create_app(settings, keyring)) as serving:
        reader = SlowReader(serving, tenant.api_key)
        assert (await reader.first()).startswith(b"HTTP/1.1 200 ")
        async with database.writing() as session:
            await session.execute(text("ALTER TABLE partner_users RENAME TO partner_users_gone"))
        received = await asyncio.wait_for(reader.rest(), 20)
        reader.socket.close()

    assert b"n" * 500 in received
    assert received.count(b"t" * 500) < 8_000
    # What ends a chunked transfer is not there.
    assert not received.endswith(b"0\r\n\r\n")


async def test_slow_readers_hold_up_nobody(
    settings: Settings,
    keyring: PublicKeyring,
    tenant: Tenant,
    database: Database,
    workspace_id: UUID,
) -> None:
    """More of them than there are connections to the database, and each in the middle."""
    await many_users(database, workspace_id, 2_000)
    async with served(create_app(settings, keyring)) as serving:
        slow = [SlowReader(serving, tenant.api_key) for _ in range(25)]
        for reader in slow:
            assert (await reader.first()).startswith(b"HTTP/1.1 200 ")
        async with serving.client(tenant.api_key) as client:
            # Held up means for ever: the readers are never done.
            answer = await asyncio.wait_for(client.get("/v1/partners"), 20)
        assert answer.status_code == 200
        async with database.writing() as session:
            # Nor is a row locked, or a table.
            await session.execute(text("ALTER TABLE partner_users RENAME TO partner_users_gone"))
        for reader in slow:
            reader.socket.close()
