"""A token that is handed over again while its validation runs: the hand-over joins it."""

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

PLAIN_BODY = {"access_token": TOKEN}


def sealed_by_client(keyring: PublicKeyring) -> dict[str, str]:
    """Seal the same token in a new box and return the request body."""
    key = keyring.current
    box = SealedBox(PublicKey(base64.b64decode(key.public_key))).encrypt(TOKEN.encode())
    return {"sealed_token": base64.b64encode(box).decode(), "key_id": key.key_id}


async def count_candidates(database: Database, workspace_id: UUID) -> int:
    """Count the workspace's tokens whose validation is in progress."""
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
async def test_same_token_joins_running_validation(
    api: httpx.AsyncClient,
    database: Database,
    world: World,
    keyring: PublicKeyring,
    method: str,
    path: str,
    by_client: bool,
) -> None:
    """Expect one candidate, one validation and one queue entry until the validation completes."""
    url = path.format(**world.ids)
    body = sealed_by_client(keyring) if by_client else PLAIN_BODY
    answers = [await api.request(method, url, json=body) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert await count_candidates(database, world.partner.workspace_id) == 1
    assert len(await enqueued(database)) == 1
    async with database.writing() as session:
        await session.execute(update(TokenValidation).values(status="completed"))
    later = await api.request(method, url, json=body)
    assert later.headers["location"] != answers[0].headers["location"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_different_handover_starts_its_own_validation(
    api: httpx.AsyncClient, database: Database, world: World, keyring: PublicKeyring
) -> None:
    """Hand over by link, another token, for another purpose, to another owner and in other boxes.

    A token that came by a link is not joined, because the link's maker may revoke it.
    """
    link = await make_link(api, database, world)
    by_link = await link.hand_over(**PLAIN_BODY)
    partner, integration = (
        f"/v1/partners/{world.ids['ptn']}",
        f"/v1/integrations/{world.ids['int']}",
    )
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", f"{partner}/token", PLAIN_BODY),
        ("PUT", f"{partner}/token", {"access_token": f"{TOKEN}x"}),
        ("POST", f"{partner}/token-validations", PLAIN_BODY),
        ("PUT", f"{integration}/token", PLAIN_BODY),
        ("PUT", f"{partner}/token", sealed_by_client(keyring)),
        ("PUT", f"{partner}/token", sealed_by_client(keyring)),
    ]
    validation_ids = {
        (await api.request(method, url, json=body)).json()["id"] for method, url, body in requests
    }
    assert len(validation_ids | {by_link.json()["id"]}) == len(requests) + 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("newer_is_active", [False, True])
@pytest.mark.parametrize("path", ["/v1/partners/{ptn}/token", "/v1/integrations/{int}/token"])
async def test_latest_handover_wins_over_earlier_ones(
    api: httpx.AsyncClient, database: Database, world: World, path: str, newer_is_active: bool
) -> None:
    """Hand over one token, another one, and the first again.

    Joining the first token's validation would leave the other token connected.
    """
    url = path.format(**world.ids)
    other = {"access_token": f"{TOKEN}x"}
    first, second = [await api.put(url, json=body) for body in (PLAIN_BODY, other)]
    if newer_is_active:
        validation_id = decode("val", second.json()["id"])
        async with database.writing() as session:
            validation = await session.get_one(TokenValidation, validation_id)
            validation.status = "completed"
            replaced = update(Token).where(
                Token.partner_id == validation.partner_id, Token.state == "active"
            )
            await session.execute(replaced.values(state="revoked"))
            token = await session.get_one(Token, validation.token_id)
            token.state = "active"
    last = await api.put(url, json=PLAIN_BODY)
    assert last.json()["id"] not in {first.json()["id"], second.json()["id"]}
    again = await api.put(url, json=PLAIN_BODY)
    assert again.json()["id"] == last.json()["id"]
