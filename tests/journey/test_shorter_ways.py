"""Optimized reads that Meta may refuse: the same users are found without them."""

from datetime import timedelta

import pytest

from partner_connector.clock import now
from partner_connector.worker.meta.unsupported_reads import recent_refusals
from tests.journey import truth
from tests.journey.caller import Caller, first_with
from tests.journey.meta import Json


def check_finds_the_truth(caller: Caller, partner: Json) -> Json:
    """Run a complete check, and assert that the API shows exactly the users of Meta."""
    caller.meta.forget_calls()
    job = caller.check(partner)
    assert (job["partial"], job["warnings"]) == (False, [])
    known = caller.meta.partner(partner["meta_business_id"])
    assert truth.shown_users(caller.users(partner)) == truth.users(known)
    return caller.meta.calls()


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
@pytest.mark.parametrize("relationship", ["agency", "both"])
@pytest.mark.nightly
def test_users_missing_in_expanded_rows_are_read_by_extra_calls(
    caller: Caller, relationship: str
) -> None:
    """Let Meta refuse or ignore an expansion (`docs/reference/graph-facts.md#field-expansion`)."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, relationship))

    caller.meta.switch(business_argument_in_expansion=False, refused_expansion="omit")
    omitted = check_finds_the_truth(caller, partner)
    caller.meta.switch(refused_expansion="fail")
    refused = check_finds_the_truth(caller, partner)
    remembered = check_finds_the_truth(caller, partner)

    assert omitted["http_requests"] <= remembered["http_requests"] < refused["http_requests"]


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_page_tokens_that_a_batch_ignores_are_sent_in_single_calls(caller: Caller) -> None:
    """Let Meta ignore tokens of batch operations (`docs/reference/graph-facts.md#batches`)."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "agency"))
    short = check_finds_the_truth(caller, partner)

    caller.meta.switch(batch_operation_headers=False)
    met = check_finds_the_truth(caller, partner)
    remembered = check_finds_the_truth(caller, partner)

    assert short["http_requests"] < remembered["http_requests"]
    assert met["by_error"], "the batch was tried first"
    assert remembered["by_error"] == {}


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_token_is_validated_without_optimized_reads(caller: Caller) -> None:
    """Assert the same sixteen checks with the same verdict."""
    _, partners = caller.discover()
    partner = first_with(partners, "both")
    token = caller.meta.token(partner["meta_business_id"])
    short = caller.dry_run(partner, token)

    caller.meta.switch(business_argument_in_expansion=False)
    refused = caller.dry_run(partner, token)
    caller.meta.switch(refused_expansion="omit")
    omitted = caller.dry_run(partner, token)

    assert short["verdict"] == "connectable"
    assert refused["checks"] == omitted["checks"] == short["checks"]


def test_refused_optimization_is_tried_again_after_a_week() -> None:
    """Let Meta support the optimized read again after its refusal."""
    known = {
        "client_pixels": (now() - timedelta(days=8)).isoformat(),
        "client_ad_accounts": (now() - timedelta(days=6)).isoformat(),
    }

    assert recent_refusals(known) == {"client_ad_accounts"}
