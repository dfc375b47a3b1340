"""Conditional requests: every operation that takes a condition, read off the document."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import httpx
import pytest

from partner_connector.api.app import create_app
from partner_connector.db.engine import Database
from partner_connector.ids import encode
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from tests.api import rows
from tests.api.problems import assert_problem
from tests.api.surface import DOCUMENT, OPERATIONS, TOKEN, Operation, call, credential
from tests.api.test_headers import assert_guarded
from tests.api.world import World, everything_of, make_world
from tests.support.clients import Tenant, client_of, running

pytestmark = pytest.mark.by_day("sqlite")

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def takes(operation: Operation, header: str) -> bool:
    """Whether the document says so."""
    return any(parameter["name"] == header for parameter in operation.parameters)


READS = [each for each in OPERATIONS if each.method == "GET" and takes(each, "If-None-Match")]
WRITES = [each for each in OPERATIONS if takes(each, "If-Match")]
# Where nothing can be read at the operation's own address.
READ_ELSEWHERE = {"/v1/integrations/{integration_id}/token": "/v1/integrations/{integration_id}"}


def test_what_takes_conditions() -> None:
    """Every single resource can be read, and every one that can be changed is changed, so."""
    lists = ("/assets", "/token-requests", "/plan", "/events", "/verify", "/deliveries")
    single = {
        each.path
        for each in OPERATIONS
        if each.method == "GET" and each.is_secured and not each.path.endswith(lists)
        if each.ids or each.path.endswith("/current")
    }
    assert {each.path for each in READS} == single
    assert len(READS) == 12
    changing = {each.name for each in OPERATIONS if each.method in {"PUT", "PATCH", "DELETE"}}
    # A code's holder reads no token that a hand-over could overwrite.
    assert {each.name for each in WRITES} == changing - {"PUT /v1/token-requests/current/token"}


@ONLY_SQLITE
async def test_what_is_known_is_not_sent_again(api: httpx.AsyncClient, world: World) -> None:
    """The tag is a digest of the answer; whoever has it gets `304` and nothing else."""
    for operation in READS:
        first = await call(api, operation, world.ids)
        assert first.status_code == 200, operation.name
        tag = first.headers["etag"]
        assert tag == f'"{hashlib.blake2b(first.content, digest_size=16).hexdigest()}"'
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = await call(api, operation, world.ids, headers={"If-None-Match": known})
            assert again.status_code == 304, (operation.name, known)
            assert again.content == b""
            assert again.headers["etag"] == tag
            assert_guarded(again)
        lines = [("If-None-Match", '"other"'), ("If-None-Match", tag)]
        mine = list(credential(operation, world.ids).items())
        again = await api.get(operation.url(world.ids), headers=[*lines, *mine])
        assert again.status_code == 304, operation.name
        for unknown in ('"other"', tag.strip('"'), "nonsense"):
            again = await call(api, operation, world.ids, headers={"If-None-Match": unknown})
            assert again.status_code == 200, (operation.name, unknown)
            assert again.content == first.content


async def read_tag(api: httpx.AsyncClient, operation: Operation, ids: Mapping[str, str]) -> str:
    """What a client knows that wants to change this; `*` where nothing can be read."""
    path = READ_ELSEWHERE.get(operation.path, operation.path)
    url = replace(operation, method="GET", path=path).url(ids)
    answer = await api.get(url, headers=credential(operation, ids))
    return answer.headers["etag"] if answer.status_code == 200 else "*"


@ONLY_SQLITE
async def test_what_has_changed_is_not_overwritten(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID, keyring: PublicKeyring
) -> None:
    """With another tag, or a weak one, nothing happens; with the right one what was asked for."""
    read = 0
    for operation in WRITES:
        world = await make_world(database, workspace_id, keyring)
        tag = await read_tag(api, operation, world.ids)
        read += tag != "*"
        async with database.reading() as session:
            before = await everything_of(session, workspace_id)
        for wrong in ('"0123456789abcdef0123456789abcdef"', f"W/{tag}", "nonsense", f"{tag} x"):
            answer = await call(api, operation, world.ids, headers={"If-Match": wrong})
            assert_problem(answer, 412, "precondition_failed")
        async with database.reading() as session:
            assert await everything_of(session, workspace_id) == before, operation.name
        answer = await call(api, operation, world.ids, headers={"If-Match": f'"other", {tag}'})
        assert (answer.status_code == 412) == (tag == "*"), operation.name
        if tag == "*":
            answer = await call(api, operation, world.ids, headers={"If-Match": tag})
            assert answer.is_success, (operation.name, answer.text)
    assert read == len(WRITES) - 1  # a single API key cannot be read


async def test_one_of_two_who_read_the_same_writes(api: httpx.AsyncClient, world: World) -> None:
    """Of ten that change what they have all read, at once, one succeeds."""
    url = f"/v1/integrations/{world.ids['int']}"
    tag = (await api.get(url)).headers["etag"]
    answers = await asyncio.gather(
        *(
            api.patch(url, json={"name": f"Name {number}"}, headers={"If-Match": tag})
            for number in range(10)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9
    (written,) = (answer for answer in answers if answer.status_code == 200)
    now = await api.get(url, headers={"If-None-Match": written.headers["etag"]})
    assert now.status_code == 304
    assert written.headers["etag"] != tag


async def test_connect_only_what_is_not_connected(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """`If-None-Match: *` never replaces a token, `If-Match` never makes the first one."""
    free = rows.partner(world.integration, name="Eastwind")
    await rows.store(database, free)
    body = {"access_token": TOKEN}
    for partner_id, nothing_there in ((world.ids["ptn"], False), (encode("ptn", free.id), True)):
        url = f"/v1/partners/{partner_id}/token"
        first_only = await api.put(url, json=body, headers={"If-None-Match": "*"})
        replacing = await api.put(url, json=body, headers={"If-Match": "*"})
        assert first_only.status_code == (202 if nothing_there else 412)
        assert replacing.status_code == (412 if nothing_there else 202)


async def test_writes_tell_the_new_tag(api: httpx.AsyncClient, world: World) -> None:
    """What a write answers as the state of a resource has the tag that a read would give."""
    body = {"name": "Acme", "meta_business_id": "77", "access_token": TOKEN}
    made = await api.post("/v1/integrations", json=body)
    cancelled = await api.post(f"/v1/sync-jobs/{world.ids['job']}/cancel")
    for answer, url in (
        (made, made.headers["location"]),
        (cancelled, f"/v1/sync-jobs/{world.ids['job']}"),
    ):
        assert (await api.get(url)).headers["etag"] == answer.headers["etag"]


def test_the_document_tells() -> None:
    """Each condition comes with the answer that it leads to."""
    for operation in OPERATIONS:
        responses = DOCUMENT["paths"][operation.path][operation.method.lower()]["responses"]
        assert ("304" in responses) == (operation in READS), operation.name
        assert ("412" in responses) == (operation in WRITES), operation.name
        if operation in READS:
            assert "ETag" in responses["200"]["headers"], operation.name


@ONLY_SQLITE
async def test_nothing_new_counts_as_a_request(
    settings: Settings, keyring: PublicKeyring, tenant: Tenant, world: World
) -> None:
    """A `304` tells the allowance too."""
    limited = settings.model_copy(update={"rate_limit": "100/minute"})
    async with (
        running(create_app(limited, keyring)) as app,
        client_of(app, tenant.api_key) as client,
    ):
        answer = await client.get(
            f"/v1/partners/{world.ids['ptn']}", headers={"If-None-Match": "*"}
        )
    assert answer.status_code == 304
    assert "r=99" in answer.headers["ratelimit"]


@pytest.mark.parametrize("path", ["/v1/partners/{ptn}/token", "/v1/integrations/{int}/token"])
async def test_one_of_two_who_read_the_same_replaces_a_token(
    api: httpx.AsyncClient, world: World, path: str
) -> None:
    """A token that is being proven is on its way already, though the tag is what it was: nobody
    overwrites it unseen. Whoever sends the very same again joins its proof.
    """
    url = path.format(**world.ids)
    read = await api.get(url if "partners" in path else url.removesuffix("/token"))
    headers = {"If-Match": read.headers["etag"]}
    answers = await asyncio.gather(
        *(
            api.put(url, json={"access_token": f"{TOKEN}{number}"}, headers=headers)
            for number in range(5)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [202] + [412] * 4
    (taken,) = (number for number, answer in enumerate(answers) if answer.status_code == 202)
    body = {"access_token": f"{TOKEN}{taken}"}
    again = await api.put(url, json=body, headers=headers)
    assert again.json()["id"] == answers[taken].json()["id"]
    unconditional = await api.put(url, json={"access_token": f"{TOKEN}x"})
    assert unconditional.status_code == 202
