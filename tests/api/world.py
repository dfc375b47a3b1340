"""One workspace with a row of every kind."""

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
    """A connected partner and everything that hangs on it. `ids` maps id prefixes to its ids,
    and `trc` to the code of its token request.
    """

    integration: Integration
    partner: Partner
    token: Token
    asset: Asset
    user: PartnerUser
    ids: Mapping[str, str]


async def make_world(database: Database, workspace_id: uuid.UUID, keyring: PublicKeyring) -> World:
    """One row of every kind that a path of the API can name. New kinds of id belong in here.

    The job that has an id is one of another partner, halted: of this one a check can be started.
    """
    ours = rows.integration(workspace_id)
    theirs = rows.partner(ours)
    active = rows.token(theirs)
    proof = rows.validation(active)
    others = rows.partner(ours, name="Southwind")
    halted = rows.halted_job(others)
    someone = rows.partner_user(theirs, asset_count=1)
    thing = rows.asset(ours)
    key = ApiKey(
        workspace_id=workspace_id,
        name="spare",
        key_id=uuid.uuid4().hex[:12],
        digest="0" * 64,
        scopes=["keys:admin"],
        id=new_id(),
    )
    code = credentials.mint(keyring.derive(b"pc-request-codes"), credentials.CODE_PREFIX)
    hook = rows.webhook_endpoint(workspace_id)
    told = rows.webhook_event(theirs)
    sent = rows.webhook_delivery(told, hook, status="dead_lettered")
    link = rows.token_request(others, code_id=code.key_id, digest=code.digest)
    await rows.store(
        database,
        ours,
        theirs,
        active,
        proof,
        rows.capability(theirs),
        rows.sync_job(theirs),
        others,
        halted,
        link,
        rows.planned(halted),
        someone,
        thing,
        rows.share(thing, theirs),
        rows.grant(thing, someone),
        key,
        hook,
        told,
        sent,
        rows.audit_event(workspace_id, subject=encode("job", halted.id)),
    )
    await rows.publish(database, rows.change(theirs, partner_user_id=someone.id, job_id=halted.id))
    ids = {
        "int": ours.id,
        "ptn": theirs.id,
        "tok": active.id,
        "val": proof.id,
        "job": halted.id,
        "usr": someone.id,
        "ast": thing.id,
        "key": key.id,
        "trq": link.id,
        "whk": hook.id,
        "dlv": sent.id,
    }
    encoded = {prefix: encode(prefix, value) for prefix, value in ids.items()}
    ids_and_code = encoded | {"trc": code.secret}
    return World(ours, theirs, active, thing, someone, ids_and_code)


async def everything_of(session: AsyncSession, workspace_id: uuid.UUID) -> dict[str, list[str]]:
    """Every row of a workspace, by table, for telling whether anything in it changed."""
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
