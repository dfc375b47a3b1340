"""A partner's token: handed over, dry-run, looked at and taken back."""

import asyncio
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select

from partner_connector.db.engine import Database
from partner_connector.db.models import Token, TokenValidation
from partner_connector.ids import decode, encode
from partner_connector.sealing.keyring import KeyringFile
from partner_connector.sealing.private import PrivateKeyring
from partner_connector.sealing.public import SealedToken
from tests.api import rows
from tests.api.engine_rows import enqueued
from tests.api.surface import TOKEN
from tests.api.world import World

HANDOVERS = [("PUT", "token", "connect"), ("POST", "token-validations", "dry_run")]


@pytest.mark.parametrize(("method", "path", "purpose"), HANDOVERS)
async def test_a_token_is_sealed_and_sent_to_be_proven(
    api: httpx.AsyncClient,
    database: Database,
    ring: KeyringFile,
    world: World,
    method: str,
    path: str,
    purpose: str,
) -> None:
    """Connecting and a dry run keep a sealed candidate and enqueue its proof, in one go."""
    url = f"/v1/partners/{world.ids['ptn']}/{path}"
    answer = await api.request(method, url, json={"access_token": f"Bearer {TOKEN}"})
    assert answer.status_code == 202
    proof = answer.json()
    assert answer.headers["location"] == f"/v1/token-validations/{proof['id']}"
    assert int(answer.headers["retry-after"]) >= 1
    assert "preference-applied" not in answer.headers
    assert (proof["purpose"], proof["status"], proof["verdict"]) == (purpose, "queued", None)
    assert proof["partner_id"] == world.ids["ptn"]
    assert (await api.get(answer.headers["location"])).json() == proof
    proof_id = decode("val", proof["id"])
    async with database.reading() as session:
        row = (
            await session.scalars(
                select(Token).join(TokenValidation).where(TokenValidation.id == proof_id)
            )
        ).one()
    assert (row.state, row.version, row.sealed_as) == ("candidate", 2, "sealed_box")
    assert row.sealed is not None
    assert TOKEN.encode() not in row.sealed
    assert PrivateKeyring(ring).open_box(SealedToken(row.key_id, row.sealed)) == TOKEN
    assert await enqueued(database) == [f"validate_token:{proof_id}:1"]


@pytest.mark.parametrize(("method", "path", "purpose"), HANDOVERS)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_refused_token_leaves_nothing(
    api: httpx.AsyncClient, database: Database, world: World, method: str, path: str, purpose: str
) -> None:
    """What is refused on arrival is neither kept nor proven."""
    url = f"/v1/partners/{world.ids['ptn']}/{path}"
    for body in (
        {},
        {"access_token": "short"},
        {"sealed_token": "AAAA", "key_id": "sk_" + "0" * 16},
    ):
        answer = await api.request(method, url, json=body)
        assert answer.status_code == 422, purpose
    assert await enqueued(database) == []
    async with database.reading() as session:
        assert len((await session.scalars(select(Token))).all()) == 1


async def test_parallel_handovers_get_versions_of_their_own(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Tokens that arrive at one moment do not share a version, to which they will be bound."""
    url = f"/v1/partners/{world.ids['ptn']}/token"
    answers = await asyncio.gather(
        *(api.put(url, json={"access_token": f"{TOKEN}{number}"}) for number in range(8))
    )
    assert [answer.status_code for answer in answers] == [202] * 8
    async with database.reading() as session:
        versions = list(await session.scalars(select(Token.version).order_by(Token.version)))
    assert versions == list(range(1, 10))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_facts_about_a_token(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """The metadata is complete, and holds neither the ciphertext nor a part of the token."""
    ours = rows.integration(workspace_id)
    theirs = rows.partner(ours)
    active = rows.token(
        theirs,
        version=3,
        sealed=b"ciphertext-canary",
        fingerprint="f" * 32,
        app_id="2965389650414399",
        type="SYSTEM_USER",
        system_user_id="12345",
        system_user_name="Robot",
        system_user_role="ADMIN",
        missing_scopes=[],
        excess_scopes=["pages_show_list"],
        last_checked_at=rows.SEEN_AT,
        activated_at=rows.SEEN_AT,
    )
    await rows.store(database, ours, theirs, active)
    answer = await api.get(f"/v1/partners/{encode('ptn', theirs.id)}/token")
    facts = answer.json()
    created_at = facts.pop("created_at")
    assert created_at.endswith("Z")
    assert facts == {
        "id": encode("tok", active.id),
        "version": 3,
        "state": "active",
        "fingerprint": "f" * 32,
        "key_id": "sk_0123456789abcdef",
        "app_id": "2965389650414399",
        "type": "SYSTEM_USER",
        "system_user": {"id": "12345", "name": "Robot", "role": "ADMIN"},
        "scopes": ["business_management"],
        "missing_scopes": [],
        "excess_scopes": ["pages_show_list"],
        "expires_at": None,
        "data_access_expires_at": None,
        "health": "healthy",
        "health_reasons": [],
        "narrowed": [],
        "capability_checked_at": None,
        "last_checked_at": "2026-11-01T12:00:00.000Z",
        "activated_at": "2026-11-01T12:00:00.000Z",
    }


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("states", [(), ("revoked", "superseded", "wiped")])
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_without_an_active_token(
    api: httpx.AsyncClient,
    database: Database,
    workspace_id: UUID,
    method: str,
    states: tuple[str, ...],
) -> None:
    """A partner that is not connected has no token to look at or to take back."""
    ours = rows.integration(workspace_id)
    theirs = rows.partner(ours)
    tokens = [rows.token(theirs, version=n, state=state) for n, state in enumerate(states)]
    await rows.store(database, ours, theirs, *tokens)
    answer = await api.request(method, f"/v1/partners/{encode('ptn', theirs.id)}/token")
    assert answer.status_code == 404
    assert answer.json()["code"] == "token_not_connected"


async def test_disconnect(api: httpx.AsyncClient, database: Database, world: World) -> None:
    """The ciphertext is gone at once, the history stays, and what is left in Meta is named."""
    url = f"/v1/partners/{world.ids['ptn']}"
    answer = await api.delete(f"{url}/token")
    assert answer.status_code == 200
    said: dict[str, Any] = answer.json()
    assert said["onboarding_status"] == "pending_onboarding"
    assert said["onboarding_status_label"] == "Pending onboarding"
    assert len(said["residual_access"]) >= 3
    for item in said["residual_access"]:
        assert set(item) == {"what", "where", "how_to_revoke"}
        assert all(item.values())
    async with database.reading() as session:
        row = (await session.scalars(select(Token))).one()
        proofs = (await session.scalars(select(TokenValidation))).all()
    assert row.sealed is None
    assert row.state in {"revoked", "wiped"}
    assert row.retired_at is not None
    assert row.scopes == ["business_management"]
    assert len(proofs) == 1
    partner = (await api.get(url)).json()
    assert partner["id"] == world.ids["ptn"]
    assert partner["onboarding_status"] == "pending_onboarding"
    assert (await api.delete(f"{url}/token")).status_code == 404
    people = (await api.get("/v1/partner-users")).json()["items"]
    assert [person["id"] for person in people] == [world.ids["usr"]]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_disconnect_names_the_longest_partner(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """A name of 500 characters does not stand in the way of disconnecting."""
    ours = rows.integration(workspace_id)
    theirs = rows.partner(ours, name="n" * 500)
    await rows.store(database, ours, theirs, rows.token(theirs))
    answer = await api.delete(f"/v1/partners/{encode('ptn', theirs.id)}/token")
    assert answer.status_code == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_disconnecting_calls_off_a_token_on_its_way(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """A candidate that is still being proven must not connect the partner after its disconnect."""
    url = f"/v1/partners/{world.ids['ptn']}/token"
    assert (await api.put(url, json={"access_token": TOKEN})).status_code == 202
    assert (await api.delete(url)).status_code == 200
    async with database.reading() as session:
        rows_left = (await session.scalars(select(Token).order_by(Token.version))).all()
    assert "candidate" not in [row.state for row in rows_left]
    assert [row.sealed for row in rows_left] == [None, None]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_first_token_on_its_way_is_not_connected_yet(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """A candidate alone is no token to look at, but disconnecting calls it off."""
    ours = rows.integration(workspace_id)
    theirs = rows.partner(ours)
    await rows.store(database, ours, theirs, rows.token(theirs, state="candidate"))
    url = f"/v1/partners/{encode('ptn', theirs.id)}/token"
    assert (await api.get(url)).json()["code"] == "token_not_connected"
    assert (await api.delete(url)).status_code == 200
    async with database.reading() as session:
        row = (await session.scalars(select(Token))).one()
    assert row.state != "candidate"
    assert row.sealed is None
    assert (await api.delete(url)).status_code == 404


async def test_a_completed_proof(api: httpx.AsyncClient, database: Database, world: World) -> None:
    """The verdict comes with each check, what was seen and what to do."""
    checks = [
        {
            "id": "scopes_required",
            "status": "fail",
            "code": "scope_missing",
            "detail": "The token lacks ads_read.",
            "remedy": "Generate a new token with ads_read.",
        }
    ]
    proof = rows.validation(world.token, verdict="not_connectable", checks=checks)
    await rows.store(database, proof)
    answer = await api.get(f"/v1/token-validations/{encode('val', proof.id)}")
    assert answer.json()["verdict"] == "not_connectable"
    assert answer.json()["checks"] == checks
