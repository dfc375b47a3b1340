"""A workspace with a row of every kind."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector import credentials
from partner_connector.db.engine import Database
from partner_connector.db.models import (
    ApiKey,
    Asset,
    Base,
    Integration,
    Partner,
    PartnerUser,
    Token,
)
from partner_connector.ids import encode, new_id
from partner_connector.sealing.public import PublicKeyring
from tests.api import rows


@dataclass(frozen=True, slots=True)
class World:
    """A connected partner and its rows. `ids` maps each id prefix to an id, and `trc` to the code
    of the token request.
    """

    integration: Integration
    partner: Partner
    token: Token
    asset: Asset
    user: PartnerUser
    ids: Mapping[str, str]


async def make_world(database: Database, workspace_id: uuid.UUID, keyring: PublicKeyring) -> World:
    """Store one row of every kind that a path of the API can name. Add new kinds of id here.

    The job in `ids` is a halted job of another partner, so a check for updates of the world's
    partner can still start.
    """
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    token = rows.token(partner)
    validation = rows.validation(token)
    other_partner = rows.partner(integration, name="Southwind")
    halted_job = rows.halted_job(other_partner)
    user = rows.partner_user(partner, asset_count=1)
    asset = rows.asset(integration)
    key = ApiKey(
        workspace_id=workspace_id,
        name="spare",
        key_id=uuid.uuid4().hex[:12],
        digest="0" * 64,
        scopes=["keys:admin"],
        id=new_id(),
    )
    code = credentials.mint(keyring.derive(b"pc-request-codes"), credentials.CODE_PREFIX)
    endpoint = rows.webhook_endpoint(workspace_id)
    event = rows.webhook_event(partner)
    delivery = rows.webhook_delivery(event, endpoint, status="dead_lettered")
    token_request = rows.token_request(other_partner, code_id=code.key_id, digest=code.digest)
    await rows.store(
        database,
        integration,
        partner,
        token,
        validation,
        rows.capability(partner),
        rows.sync_job(partner),
        other_partner,
        halted_job,
        token_request,
        rows.planned(halted_job),
        user,
        asset,
        rows.share(asset, partner),
        rows.grant(asset, user),
        key,
        endpoint,
        event,
        delivery,
        rows.audit_event(workspace_id, subject=encode("job", halted_job.id)),
    )
    await rows.publish(
        database, rows.change(partner, partner_user_id=user.id, job_id=halted_job.id)
    )
    ids = {
        "int": integration.id,
        "ptn": partner.id,
        "tok": token.id,
        "val": validation.id,
        "job": halted_job.id,
        "usr": user.id,
        "ast": asset.id,
        "key": key.id,
        "trq": token_request.id,
        "whk": endpoint.id,
        "dlv": delivery.id,
    }
    encoded = {prefix: encode(prefix, value) for prefix, value in ids.items()}
    ids_and_code = encoded | {"trc": code.secret}
    return World(integration, partner, token, asset, user, ids_and_code)


async def rows_of_workspace(session: AsyncSession, workspace_id: uuid.UUID) -> dict[str, list[str]]:
    """Return every row of a workspace by table, to compare before and after a request."""
    dump = {}
    for table in Base.metadata.sorted_tables:
        if "workspace_id" in table.c:
            found = await session.execute(
                select(table)
                .where(table.c.workspace_id == workspace_id)
                .order_by(*table.primary_key)
            )
            dump[table.name] = [repr(tuple(row)) for row in found]
    return dump
