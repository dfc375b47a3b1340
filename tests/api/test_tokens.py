"""A partner's token: handed over, validated, read and disconnected."""

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
async def test_token_is_sealed_and_its_validation_enqueued(
    api: httpx.AsyncClient,
    database: Database,
    ring: KeyringFile,
    world: World,
    method: str,
    path: str,
    purpose: str,
) -> None:
    """Expect a sealed candidate and a queue entry, both for connecting and for a dry run."""
    url = f"/v1/partners/{world.ids['ptn']}/{path}"
    answer = await api.request(method, url, json={"access_token": f"Bearer {TOKEN}"})
    assert answer.status_code == 202
    validation = answer.json()
    assert answer.headers["location"] == f"/v1/token-validations/{validation['id']}"
    assert int(answer.headers["retry-after"]) >= 1
    assert "preference-applied" not in answer.headers
    assert (validation["purpose"], validation["status"], validation["verdict"]) == (
        purpose,
        "queued",
        None,
    )
    assert validation["partner_id"] == world.ids["ptn"]
    assert (await api.get(answer.headers["location"])).json() == validation
    validation_id = decode("val", validation["id"])
    async with database.reading() as session:
        row = (
            await session.scalars(
                select(Token).join(TokenValidation).where(TokenValidation.id == validation_id)
            )
        ).one()
    assert (row.state, row.version, row.sealed_as) == ("candidate", 2, "sealed_box")
    assert row.sealed is not None
    assert TOKEN.encode() not in row.sealed
    assert PrivateKeyring(ring).open_box(SealedToken(row.key_id, row.sealed)) == TOKEN
    assert await enqueued(database) == [f"validate_token:{validation_id}:1"]


@pytest.mark.parametrize(("method", "path", "purpose"), HANDOVERS)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_refused_token_is_neither_stored_nor_validated(
    api: httpx.AsyncClient, database: Database, world: World, method: str, path: str, purpose: str
) -> None:
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


async def test_parallel_handovers_get_distinct_versions(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Expect distinct versions, because each token is bound to its version."""
    url = f"/v1/partners/{world.ids['ptn']}/token"
    answers = await asyncio.gather(
        *(api.put(url, json={"access_token": f"{TOKEN}{number}"}) for number in range(8))
    )
    assert [answer.status_code for answer in answers] == [202] * 8
    async with database.reading() as session:
        versions = list(await session.scalars(select(Token.version).order_by(Token.version)))
    assert versions == list(range(1, 10))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_token_metadata_is_complete_without_the_secret(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Expect neither the ciphertext nor a part of the token."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    active = rows.token(
        partner,
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
    await rows.store(database, integration, partner, active)
    answer = await api.get(f"/v1/partners/{encode('ptn', partner.id)}/token")
    metadata = answer.json()
    created_at = metadata.pop("created_at")
    assert created_at.endswith("Z")
    assert metadata == {
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
async def test_token_is_not_found_without_an_active_token(
    api: httpx.AsyncClient,
    database: Database,
    workspace_id: UUID,
    method: str,
    states: tuple[str, ...],
) -> None:
    """Expect 404 for reading and for disconnecting."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    tokens = [rows.token(partner, version=n, state=state) for n, state in enumerate(states)]
    await rows.store(database, integration, partner, *tokens)
    answer = await api.request(method, f"/v1/partners/{encode('ptn', partner.id)}/token")
    assert answer.status_code == 404
    assert answer.json()["code"] == "token_not_connected"


async def test_disconnect_wipes_ciphertext_and_keeps_history(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Expect the answer to name the access that remains in Meta."""
    url = f"/v1/partners/{world.ids['ptn']}"
    answer = await api.delete(f"{url}/token")
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    assert body["onboarding_status"] == "pending_onboarding"
    assert body["onboarding_status_label"] == "Pending onboarding"
    assert len(body["residual_access"]) >= 3
    for item in body["residual_access"]:
        assert set(item) == {"what", "where", "how_to_revoke"}
        assert all(item.values())
    async with database.reading() as session:
        row = (await session.scalars(select(Token))).one()
        validations = (await session.scalars(select(TokenValidation))).all()
    assert row.sealed is None
    assert row.state in {"revoked", "wiped"}
    assert row.retired_at is not None
    assert row.scopes == ["business_management"]
    assert len(validations) == 1
    partner = (await api.get(url)).json()
    assert partner["id"] == world.ids["ptn"]
    assert partner["onboarding_status"] == "pending_onboarding"
    assert (await api.delete(f"{url}/token")).status_code == 404
    people = (await api.get("/v1/partner-users")).json()["items"]
    assert [person["id"] for person in people] == [world.ids["usr"]]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_disconnect_works_with_the_longest_partner_name(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Use a name of 500 characters."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration, name="n" * 500)
    await rows.store(database, integration, partner, rows.token(partner))
    answer = await api.delete(f"/v1/partners/{encode('ptn', partner.id)}/token")
    assert answer.status_code == 200


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_disconnect_cancels_a_candidate_being_validated(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Expect that a running validation cannot connect the partner again."""
    url = f"/v1/partners/{world.ids['ptn']}/token"
    assert (await api.put(url, json={"access_token": TOKEN})).status_code == 202
    assert (await api.delete(url)).status_code == 200
    async with database.reading() as session:
        rows_left = (await session.scalars(select(Token).order_by(Token.version))).all()
    assert "candidate" not in [row.state for row in rows_left]
    assert [row.sealed for row in rows_left] == [None, None]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_first_candidate_is_not_shown_but_can_be_cancelled(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Expect 404 for reading; disconnecting cancels the candidate."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    await rows.store(database, integration, partner, rows.token(partner, state="candidate"))
    url = f"/v1/partners/{encode('ptn', partner.id)}/token"
    assert (await api.get(url)).json()["code"] == "token_not_connected"
    assert (await api.delete(url)).status_code == 200
    async with database.reading() as session:
        row = (await session.scalars(select(Token))).one()
    assert row.state != "candidate"
    assert row.sealed is None
    assert (await api.delete(url)).status_code == 404


async def test_completed_validation_shows_verdict_and_checks(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    checks = [
        {
            "id": "scopes_required",
            "status": "fail",
            "code": "scope_missing",
            "detail": "The token lacks ads_read.",
            "remedy": "Generate a new token with ads_read.",
        }
    ]
    validation = rows.validation(world.token, verdict="not_connectable", checks=checks)
    await rows.store(database, validation)
    answer = await api.get(f"/v1/token-validations/{encode('val', validation.id)}")
    assert answer.json()["verdict"] == "not_connectable"
    assert answer.json()["checks"] == checks
