"""All partner users as CSV: complete, safe in a spreadsheet, and never silently truncated."""

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
ACCEPT_CSV = {"Accept": "text/csv"}

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


def read_rows(answer: httpx.Response) -> list[dict[str, str]]:
    """Read the rows with Python's CSV reader."""
    assert answer.status_code == 200, answer.text
    content = io.StringIO(answer.content.decode("utf-8"), newline="")
    return list(csv.DictReader(content, strict=True))


async def users_named(
    database: Database, workspace_id: UUID, names: Sequence[str], **values: Any
) -> Partner:
    """Store a partner with users of these names."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration, name=values.pop("partner_name", "Northwind"))
    people = [rows.partner_user(partner, name=name, **values) for name in names]
    await rows.store(database, integration, partner, *people)
    return partner


@pytest.mark.parametrize("name", HOSTILE)
def test_formula_gets_a_leading_apostrophe(name: str) -> None:
    assert harmless(name) == f"'{name}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Ada;=1+1", "Ada;'=1+1"),
        ("Ada; @SUM(1);b", "Ada;' @SUM(1);b"),
        ("Ada\t=1+1;-1", "Ada\t'=1+1;'-1"),
        ("\t=1", "'\t'=1"),
        ("two\r\n+1", "two\r\n'+1"),
    ],
)
def test_formula_after_another_separator_gets_an_apostrophe(name: str, expected: str) -> None:
    """Protect spreadsheets that split at semicolons, as in half of Europe, despite quotes."""
    assert harmless(name) == expected
    for cell in re.split(r"[;\t\r\n]", f'usr_1,"{harmless(name)}"'):
        assert not cell.strip().startswith(("=", "+", "-", "@")), cell


@pytest.mark.parametrize("name", PLAIN)
def test_plain_text_is_unchanged(name: str) -> None:
    assert harmless(name) == name


async def test_csv_reader_gets_every_name_and_no_formula(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    names = HOSTILE + PLAIN
    await users_named(
        database, workspace_id, names, title="=1", email=None, partner_name="@Northwind"
    )
    answer = await api.get(PATH, headers=ACCEPT_CSV)
    found = read_rows(answer)

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


async def test_csv_cells_equal_the_list_members(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Compare each cell with the JSON member of the same name, ids and times included."""
    await users_named(database, workspace_id, ["Ada"], removed_at=SEEN_AT, asset_count=3)
    [listed] = (await api.get(PATH)).json()["items"]
    [row] = read_rows(await api.get(PATH, headers=ACCEPT_CSV))

    partner = (await api.get(f"/v1/partners/{listed['partner_id']}")).json()
    expected = {**listed, "partner_name": partner["name"]}
    assert row == {name: "" if (v := expected[name]) is None else str(v) for name in COLUMNS}


async def test_csv_holds_all_matching_users_of_the_workspace(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID, other_tenant: Tenant
) -> None:
    """Expect filters to apply and paging parameters to be ignored."""
    many = [f"Person {number}" for number in range(1_203)]
    partner = await users_named(database, workspace_id, many)
    removed = await users_named(database, workspace_id, ["Gone"], state="removed", role="EMPLOYEE")
    await users_named(database, other_tenant.workspace_id, ["Stranger"])  # type: ignore[arg-type]

    async def ids(**params: Any) -> list[str]:
        return [
            row["id"] for row in read_rows(await api.get(PATH, params=params, headers=ACCEPT_CSV))
        ]

    all_ids = await ids()
    assert len(all_ids) == len(set(all_ids)) == len(many) + 1
    assert all_ids == sorted(all_ids)
    assert await ids(page_size=1, sort="-name", expand="grants", cursor="x") == all_ids
    assert await ids(state="removed") == await ids(partner_id=encode("ptn", removed.id))
    assert len(await ids(partner_id=encode("ptn", partner.id))) == len(many)
    assert len(await ids(q="person 12")) == 1 + 10 + 3
    assert await ids(q="no such name") == []
    assert_problem(await api.get(PATH, params={"state": "x"}, headers=ACCEPT_CSV), 422)


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
async def test_accept_header_decides_between_json_and_csv(
    api: httpx.AsyncClient, accept: str, kind: str | None
) -> None:
    """Expect JSON unless the client prefers CSV."""
    answer = await api.get(PATH, headers={"Accept": accept})
    if kind is None:
        assert_problem(answer, 406, "not_acceptable")
    else:
        assert answer.headers["content-type"].split(";")[0] == kind


@ONLY_SQLITE
async def test_accept_may_come_in_several_header_lines(api: httpx.AsyncClient) -> None:
    """Send `Accept` twice, as some proxies do (RFC 9110, 5.3)."""
    lines = [("Accept", "application/xml"), ("Accept", "text/csv")]
    answer = await api.get(PATH, headers=lines)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")


async def many_users(database: Database, workspace_id: UUID, count: int) -> None:
    """Store `count` users with long names."""
    partner = await users_named(database, workspace_id, [])
    values = [
        {
            "id": new_id(),
            "workspace_id": workspace_id,
            "integration_id": partner.integration_id,
            "partner_id": partner.id,
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
        await session.execute(insert(PartnerUser), values)


class SlowReader:
    """Client that requests the CSV and then reads only on demand."""

    def __init__(self, serving: Served, api_key: str) -> None:
        host, port = serving.url.removeprefix("http://").split(":")
        self.socket = socket.socket()
        # Set before connecting, so that the kernel buffers only a little of the answer.
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

    async def read_first(self) -> bytes:
        """Read the response head and the beginning of the first rows."""
        received = b""
        while len(received) < 1000:
            received += await asyncio.get_running_loop().sock_recv(self.socket, 1000)
        return received

    async def read_rest(self) -> bytes:
        """Read until the server closes the connection."""
        received = b""
        while piece := await asyncio.get_running_loop().sock_recv(self.socket, 1 << 20):
            received += piece
        return received


async def test_csv_that_breaks_off_has_no_end_of_transfer(
    settings: Settings,
    keyring: PublicKeyring,
    tenant: Tenant,
    database: Database,
    workspace_id: UUID,
) -> None:
    """Let the database fail in the middle, so that every client notices the truncation."""
    await many_users(database, workspace_id, 8_000)
    async with served(create_app(settings, keyring)) as serving:
        reader = SlowReader(serving, tenant.api_key)
        assert (await reader.read_first()).startswith(b"HTTP/1.1 200 ")
        async with database.writing() as session:
            await session.execute(text("ALTER TABLE partner_users RENAME TO partner_users_gone"))
        received = await asyncio.wait_for(reader.read_rest(), 20)
        reader.socket.close()

    assert b"n" * 500 in received
    assert received.count(b"t" * 500) < 8_000
    # The last chunk of a chunked transfer is missing.
    assert not received.endswith(b"0\r\n\r\n")


async def test_slow_readers_hold_no_connection_and_no_lock(
    settings: Settings,
    keyring: PublicKeyring,
    tenant: Tenant,
    database: Database,
    workspace_id: UUID,
) -> None:
    """Use more readers than database connections, each stopped in the middle."""
    await many_users(database, workspace_id, 2_000)
    async with served(create_app(settings, keyring)) as serving:
        slow = [SlowReader(serving, tenant.api_key) for _ in range(25)]
        for reader in slow:
            assert (await reader.read_first()).startswith(b"HTTP/1.1 200 ")
        async with serving.client(tenant.api_key) as client:
            # A blocked request would wait forever: the readers never finish.
            answer = await asyncio.wait_for(client.get("/v1/partners"), 20)
        assert answer.status_code == 200
        async with database.writing() as session:
            # The readers lock no row and no table.
            await session.execute(text("ALTER TABLE partner_users RENAME TO partner_users_gone"))
        for reader in slow:
            reader.socket.close()
