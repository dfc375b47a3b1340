"""Conditional requests, for every operation of the OpenAPI document that takes a condition."""

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
from tests.api.test_headers import assert_security_headers
from tests.api.world import World, make_world, rows_of_workspace
from tests.support.clients import Tenant, client_of, running

pytestmark = pytest.mark.by_day("sqlite")

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def has_header(operation: Operation, header: str) -> bool:
    """Return True if the operation has this header parameter."""
    return any(parameter["name"] == header for parameter in operation.parameters)


READS = [each for each in OPERATIONS if each.method == "GET" and has_header(each, "If-None-Match")]
WRITES = [each for each in OPERATIONS if has_header(each, "If-Match")]
# Another path to read the tag from, where the operation's own path has no GET.
READ_ELSEWHERE = {"/v1/integrations/{integration_id}/token": "/v1/integrations/{integration_id}"}


def test_every_single_resource_takes_conditions() -> None:
    """Check that reads of single resources take `If-None-Match` and changes take `If-Match`."""
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
    # The holder of a code cannot read a token, and so has no tag to compare.
    assert {each.name for each in WRITES} == changing - {"PUT /v1/token-requests/current/token"}


@ONLY_SQLITE
async def test_read_with_current_tag_is_answered_with_304(
    api: httpx.AsyncClient, world: World
) -> None:
    """Check that the tag is a digest of the body, and that a `304` has no body."""
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
            assert_security_headers(again)
        lines = [("If-None-Match", '"other"'), ("If-None-Match", tag)]
        credentials = list(credential(operation, world.ids).items())
        again = await api.get(operation.url(world.ids), headers=[*lines, *credentials])
        assert again.status_code == 304, operation.name
        for unknown in ('"other"', tag.strip('"'), "nonsense"):
            again = await call(api, operation, world.ids, headers={"If-None-Match": unknown})
            assert again.status_code == 200, (operation.name, unknown)
            assert again.content == first.content


async def current_tag(api: httpx.AsyncClient, operation: Operation, ids: Mapping[str, str]) -> str:
    """Return the current tag of the resource; `*` if it cannot be read."""
    path = READ_ELSEWHERE.get(operation.path, operation.path)
    url = replace(operation, method="GET", path=path).url(ids)
    answer = await api.get(url, headers=credential(operation, ids))
    return answer.headers["etag"] if answer.status_code == 200 else "*"


@ONLY_SQLITE
async def test_write_with_other_tag_is_refused(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID, keyring: PublicKeyring
) -> None:
    """Refuse another tag and a weak tag without a change; accept the current tag."""
    read = 0
    for operation in WRITES:
        world = await make_world(database, workspace_id, keyring)
        tag = await current_tag(api, operation, world.ids)
        read += tag != "*"
        async with database.reading() as session:
            before = await rows_of_workspace(session, workspace_id)
        for wrong in ('"0123456789abcdef0123456789abcdef"', f"W/{tag}", "nonsense", f"{tag} x"):
            answer = await call(api, operation, world.ids, headers={"If-Match": wrong})
            assert_problem(answer, 412, "precondition_failed")
        async with database.reading() as session:
            assert await rows_of_workspace(session, workspace_id) == before, operation.name
        answer = await call(api, operation, world.ids, headers={"If-Match": f'"other", {tag}'})
        assert (answer.status_code == 412) == (tag == "*"), operation.name
        if tag == "*":
            answer = await call(api, operation, world.ids, headers={"If-Match": tag})
            assert answer.is_success, (operation.name, answer.text)
    assert read == len(WRITES) - 1  # a single API key cannot be read


async def test_one_of_concurrent_writes_with_same_tag_succeeds(
    api: httpx.AsyncClient, world: World
) -> None:
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
    unchanged = await api.get(url, headers={"If-None-Match": written.headers["etag"]})
    assert unchanged.status_code == 304
    assert written.headers["etag"] != tag


async def test_if_none_match_star_connects_only_unconnected_partner(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Check that `If-None-Match: *` never replaces a token, and `If-Match` never sets the first."""
    unconnected_partner = rows.partner(world.integration, name="Eastwind")
    await rows.store(database, unconnected_partner)
    body = {"access_token": TOKEN}
    for partner_id, unconnected in (
        (world.ids["ptn"], False),
        (encode("ptn", unconnected_partner.id), True),
    ):
        url = f"/v1/partners/{partner_id}/token"
        first_only = await api.put(url, json=body, headers={"If-None-Match": "*"})
        replacing = await api.put(url, json=body, headers={"If-Match": "*"})
        assert first_only.status_code == (202 if unconnected else 412)
        assert replacing.status_code == (412 if unconnected else 202)


async def test_write_returns_tag_of_new_state(api: httpx.AsyncClient, world: World) -> None:
    """Compare the tag of a write's answer with the tag of a read."""
    body = {"name": "Acme", "meta_business_id": "77", "access_token": TOKEN}
    created = await api.post("/v1/integrations", json=body)
    cancelled = await api.post(f"/v1/sync-jobs/{world.ids['job']}/cancel")
    for answer, url in (
        (created, created.headers["location"]),
        (cancelled, f"/v1/sync-jobs/{world.ids['job']}"),
    ):
        assert (await api.get(url)).headers["etag"] == answer.headers["etag"]


def test_document_describes_answers_to_conditions() -> None:
    """Check that `304`, `412` and `ETag` are documented where a condition is."""
    for operation in OPERATIONS:
        responses = DOCUMENT["paths"][operation.path][operation.method.lower()]["responses"]
        assert ("304" in responses) == (operation in READS), operation.name
        assert ("412" in responses) == (operation in WRITES), operation.name
        if operation in READS:
            assert "ETag" in responses["200"]["headers"], operation.name


@ONLY_SQLITE
async def test_304_counts_against_rate_limit(
    settings: Settings, keyring: PublicKeyring, tenant: Tenant, world: World
) -> None:
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
async def test_one_of_concurrent_replacements_of_token_succeeds(
    api: httpx.AsyncClient, world: World, path: str
) -> None:
    """Refuse to replace a token that is being validated, although the tag has not changed yet. The
    same token sent again joins the running validation.
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
    (accepted,) = (number for number, answer in enumerate(answers) if answer.status_code == 202)
    body = {"access_token": f"{TOKEN}{accepted}"}
    again = await api.put(url, json=body, headers=headers)
    assert again.json()["id"] == answers[accepted].json()["id"]
    unconditional = await api.put(url, json={"access_token": f"{TOKEN}x"})
    assert unconditional.status_code == 202
