"""Tokens that age, die, lose permissions and regain them, as the daily re-validation finds."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from partner_connector.ids import decode
from tests.journey import truth
from tests.journey.caller import Caller, first_with, wait_until
from tests.journey.meta import Json
from tests.journey.stacks import Stack

pytestmark = pytest.mark.parametrize("stack", ["separate"], indirect=True)


class Day:
    """A day that passes for every token of a customer."""

    def __init__(self, stack: Stack, caller: Caller) -> None:
        self.stack = stack
        self.caller = caller

    def start(self) -> None:
        """Make every re-validation due, and start a worker, which looks at once."""
        assert self.stack.database_url is not None
        ours = [decode("int", one["id"]) for one in self.caller.everything("/v1/integrations")]
        with psycopg.connect(self.stack.database_url) as server:
            server.execute(
                "UPDATE tokens SET next_check_at = now() "
                "WHERE state = 'active' AND integration_id = ANY(%s)",
                [ours],
            )
        _, worker = self.stack.workers.popitem()
        worker.stop()
        self.stack.add_worker()

    def token_after(self, partner: Json, change: Callable[[], object]) -> Json:
        """Return the partner's token after this change in Meta and a re-validation."""
        path = f"/v1/partners/{partner['id']}/token"
        change()
        before = self.caller.get(path)["last_checked_at"]
        self.start()
        return wait_until(
            lambda: self.caller.get(path), lambda token: token["last_checked_at"] != before
        )


@pytest.mark.nightly
def test_token_is_validated_again_every_day(stack: Stack, caller: Caller) -> None:
    """Assert that lost permissions are reported with reason and remedy.

    The reasons end by themselves once Meta restores the permissions; stored data stay served.
    """
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    users, business = caller.users(partner), partner["meta_business_id"]
    meta, day = caller.meta, Day(stack, caller)
    token = meta.token(business)

    def standing() -> tuple[str, list[str]]:
        shown = caller.partner(partner)
        reasons = shown["attention_reasons"]
        assert reasons == caller.get(f"/v1/partners/{partner['id']}/token")["health_reasons"]
        assert all(reason["remedy"] for reason in reasons)
        return shown["onboarding_status"], [reason["code"] for reason in reasons]

    in_ten_days = int((datetime.now(UTC) + timedelta(days=10)).timestamp())
    seen = day.token_after(
        partner, lambda: meta.mutate("expire_token", token=token, expires_at=in_ten_days)
    )
    assert (seen["health"], standing()) == ("expiring", ("onboarded", ["expires_within_14_days"]))

    seen = day.token_after(partner, lambda: meta.mutate("downgrade_system_user", partner=business))
    assert seen["health"] == "insufficient"
    assert standing() == ("needs_attention", ["system_user_not_admin"])
    steps = caller.get(f"/v1/partners/{partner['id']}/onboarding")["steps"]
    to_do = {step["id"]: step for step in steps if step["status"] == "to_do"}
    assert set(to_do) == {"system_user_admin", "connected"}
    assert "must have the Admin role" in to_do["connected"]["evidence"]

    meta.mutate("upgrade_system_user", partner=business)
    seen = day.token_after(
        partner, lambda: meta.mutate("remove_scope", token=token, scope="pages_read_engagement")
    )
    assert (seen["health"], seen["missing_scopes"]) == ("insufficient", ["pages_read_engagement"])
    assert standing() == ("needs_attention", ["scopes_missing"])

    seen = day.token_after(partner, lambda: meta.mutate("restore_token", token=token))
    assert (seen["health"], standing()) == ("healthy", ("onboarded", []))

    seen = day.token_after(partner, lambda: meta.mutate("revoke_token", token=token))
    assert (seen["health"], standing()) == ("invalid", ("needs_attention", ["token_revoked"]))

    seen = day.token_after(
        partner,
        lambda: (
            meta.mutate("restore_token", token=token),
            meta.mutate("expire_token", token=token),
        ),
    )
    assert (seen["health"], standing()) == ("expired", ("needs_attention", ["token_expired"]))
    assert caller.users(partner) == users

    seen = day.token_after(partner, lambda: meta.mutate("restore_token", token=token))
    assert (seen["health"], standing()) == ("healthy", ("onboarded", []))

    assert caller.health_changes(partner) == [
        ("healthy", "expiring"),
        ("expiring", "insufficient"),
        ("insufficient", "insufficient"),
        ("insufficient", "healthy"),
        ("healthy", "invalid"),
        ("invalid", "expired"),
        ("expired", "healthy"),
    ]


def test_integration_token_is_validated_every_day(stack: Stack, caller: Caller) -> None:
    """Assert that the integration reports what is wrong with its token, and recovers by itself."""
    integration = caller.integrate()
    day, path = Day(stack, caller), f"/v1/integrations/{integration['id']}"
    host = caller.meta.host()["tokens"]["good"]
    caller.meta.mutate("revoke_token", token=host)
    day.start()
    shown = wait_until(lambda: caller.get(path), lambda one: one["health"] != "healthy")
    assert [reason["code"] for reason in shown["health_reasons"]] == ["token_revoked"]

    caller.meta.mutate("restore_token", token=host)
    day.start()
    shown = wait_until(lambda: caller.get(path), lambda one: one["health"] == "healthy")
    assert shown["health_reasons"] == []


def test_first_check_is_compared_with_the_first_validation(stack: Stack, caller: Caller) -> None:
    """Assert that the hand-over's validation is the reference before the first complete check.

    Permissions that the token lost by the next day remove no user.
    """
    _, partners = caller.discover()
    refused = {"error": {"code": 200, "message": "(#200) Permissions error"}}
    caller.meta.fault({"edge": "business_asset_groups"}, refused)
    partner = caller.connected(first_with(partners, "agency"))
    caller.meta.heal()
    business, day = partner["meta_business_id"], Day(stack, caller)
    known = caller.meta.partner(business)
    people = {person["id"] for person in known["people"]}
    leaver = next(user_id for user_id in truth.users(known) if user_id in people)
    day.token_after(partner, lambda: caller.meta.mutate("downgrade_system_user", partner=business))
    caller.meta.mutate("leave", person=leaver)

    job = caller.check(partner)

    assert (job["partial"], job["counts"]["removed"]) == (True, 0)
    assert caller.user(partner, leaver)["state"] == "active"


@pytest.mark.nightly
def test_accepted_reduction_needs_no_attention_the_next_day(stack: Stack, caller: Caller) -> None:
    """Assert that the daily re-validation finds the same reduction, which was accepted."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    day, token = Day(stack, caller), caller.meta.token(partner["meta_business_id"])
    caller.meta.mutate("remove_scope", token=token, scope="pages_read_engagement")
    # Found by the daily re-validation first, and then by the check for updates.
    assert day.token_after(partner, lambda: None)["health"] == "insufficient"
    caller.check(partner)
    path = f"/v1/partners/{partner['id']}/token/accept-capabilities"
    assert caller.ask("POST", path).status_code == 200
    assert caller.partner(partner)["onboarding_status"] == "onboarded"

    seen = day.token_after(partner, lambda: None)

    assert (seen["health"], seen["missing_scopes"]) == ("healthy", ["pages_read_engagement"])
    assert caller.partner(partner)["onboarding_status"] == "onboarded"
