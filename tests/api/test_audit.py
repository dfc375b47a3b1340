"""`/v1/audit-events`: who decided what."""

import httpx
import pytest
from sqlalchemy import select

from partner_connector.database import Database
from partner_connector.ids import encode
from partner_connector.models import ApiKey
from tests.api.world import World
from tests.support.clients import Tenant

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def test_a_decision_is_on_record(
    api: httpx.AsyncClient, database: Database, world: World, tenant: Tenant
) -> None:
    """Newest first, with the key, the request, what it was done to, and what belongs to it."""
    url = f"/v1/sync-jobs/{world.ids['job']}/cancel"
    headers = {"X-Request-Id": "from-the-caller-1"}
    assert (await api.post(url, headers=headers)).status_code == 200
    async with database.reading() as session:
        key_id = tenant.api_key.split("_")[1]
        key = (await session.scalars(select(ApiKey.id).where(ApiKey.key_id == key_id))).one()
    newest, before = (await api.get("/v1/audit-events")).json()["items"]
    assert newest.pop("id").startswith("aud_")
    assert newest.pop("occurred_at") > before["occurred_at"]
    assert newest == {
        "api_key_id": encode("key", key),
        "action": "sync_job.cancelled",
        "subject": world.ids["job"],
        "request_id": "from-the-caller-1",
        "details": {"was": "halted", "cancelled_checks": 0},
    }


async def test_what_was_refused_is_not_on_record(api: httpx.AsyncClient, world: World) -> None:
    """Only what was done is told."""
    answer = await api.post(
        f"/v1/sync-jobs/{world.ids['job']}/plan/approve", json={"digest": "f" * 64}
    )
    assert answer.status_code == 409
    assert len((await api.get("/v1/audit-events")).json()["items"]) == 1
