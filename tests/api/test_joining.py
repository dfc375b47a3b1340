"""A token that is handed over while it is being proven already: that proof is joined."""

import base64
from typing import Any
from uuid import UUID

import httpx
import pytest
from nacl.public import PublicKey, SealedBox
from sqlalchemy import func, select, update

from partner_connector.db.engine import Database
from partner_connector.db.models import Token, TokenValidation
from partner_connector.ids import decode
from partner_connector.sealing.public import PublicKeyring
from tests.api.engine_rows import enqueued
from tests.api.hand_over import make_link
from tests.api.surface import TOKEN
from tests.api.world import World

IN_CLEAR = {"access_token": TOKEN}


def sealed_by_client(keyring: PublicKeyring) -> dict[str, str]:
    """The same token in a box of its own."""
    key = keyring.current
    box = SealedBox(PublicKey(base64.b64decode(key.public_key))).encrypt(TOKEN.encode())
    return {"sealed_token": base64.b64encode(box).decode(), "key_id": key.key_id}


async def candidates(database: Database, workspace_id: UUID) -> int:
    """How many tokens of the workspace are being proven."""
    query = select(func.count()).where(
        Token.workspace_id == workspace_id, Token.state == "candidate"
    )
    async with database.reading() as session:
        return await session.scalar(query) or 0


@pytest.mark.parametrize("by_client", [False, True])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/partners/{ptn}/token"),
        ("POST", "/v1/partners/{ptn}/token-validations"),
        ("PUT", "/v1/integrations/{int}/token"),
    ],
)
async def test_the_same_token_joins(
    api: httpx.AsyncClient,
    database: Database,
    world: World,
    keyring: PublicKeyring,
    method: str,
    path: str,
    by_client: bool,
) -> None:
    """One candidate, one proof, one entry for the worker; once it is completed the next is new."""
    url = path.format(**world.ids)
    body = sealed_by_client(keyring) if by_client else IN_CLEAR
    answers = [await api.request(method, url, json=body) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert await candidates(database, world.partner.workspace_id) == 1
    assert len(await enqueued(database)) == 1
    async with database.writing() as session:
        await session.execute(update(TokenValidation).values(status="completed"))
    later = await api.request(method, url, json=body)
    assert later.headers["location"] != answers[0].headers["location"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_is_not_joined(
    api: httpx.AsyncClient, database: Database, world: World, keyring: PublicKeyring
) -> None:
    """Another token, another purpose, another owner, another box, and what came by a link, which
    its maker may revoke."""
    link = await make_link(api, database, world)
    by_link = await link.hand_over(**IN_CLEAR)
    partner, integration = (
        f"/v1/partners/{world.ids['ptn']}",
        f"/v1/integrations/{world.ids['int']}",
    )
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", f"{partner}/token", IN_CLEAR),
        ("PUT", f"{partner}/token", {"access_token": f"{TOKEN}x"}),
        ("POST", f"{partner}/token-validations", IN_CLEAR),
        ("PUT", f"{integration}/token", IN_CLEAR),
        ("PUT", f"{partner}/token", sealed_by_client(keyring)),
        ("PUT", f"{partner}/token", sealed_by_client(keyring)),
    ]
    proofs = {
        (await api.request(method, url, json=body)).json()["id"] for method, url, body in asked
    }
    assert len(proofs | {by_link.json()["id"]}) == len(asked) + 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("newer_is_active", [False, True])
@pytest.mark.parametrize("path", ["/v1/partners/{ptn}/token", "/v1/integrations/{int}/token"])
async def test_what_was_handed_over_since_is_not_passed_over(
    api: httpx.AsyncClient, database: Database, world: World, path: str, newer_is_active: bool
) -> None:
    """One token, another, and the first again: the last hand-over wins. To join the first one's
    proof would leave the other one connected.
    """
    url = path.format(**world.ids)
    other = {"access_token": f"{TOKEN}x"}
    first, second = [await api.put(url, json=body) for body in (IN_CLEAR, other)]
    if newer_is_active:
        proof_id = decode("val", second.json()["id"])
        async with database.writing() as session:
            proof = await session.get_one(TokenValidation, proof_id)
            proof.status = "completed"
            replaced = update(Token).where(
                Token.partner_id == proof.partner_id, Token.state == "active"
            )
            await session.execute(replaced.values(state="revoked"))
            token = await session.get_one(Token, proof.token_id)
            token.state = "active"
    last = await api.put(url, json=IN_CLEAR)
    assert last.json()["id"] not in {first.json()["id"], second.json()["id"]}
    again = await api.put(url, json=IN_CLEAR)
    assert again.json()["id"] == last.json()["id"]
