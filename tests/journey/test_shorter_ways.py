"""Shorter ways of asking that Meta may refuse: the same people are found without them."""

from datetime import timedelta

import pytest

from partner_connector.clock import now
from partner_connector.worker.meta.unsupported_reads import still_refused
from tests.journey import truth
from tests.journey.caller import Caller, first_with
from tests.journey.meta import Json


def check_finds_the_truth(caller: Caller, partner: Json) -> Json:
    """A whole check, after which the API shows exactly who has access."""
    caller.meta.forget_calls()
    job = caller.check(partner)
    assert (job["partial"], job["warnings"]) == (False, [])
    known = caller.meta.partner(partner["meta_business_id"])
    assert truth.shown_users(caller.users(partner)) == truth.users(known)
    return caller.meta.calls()


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
@pytest.mark.parametrize("relationship", ["agency", "both"])
@pytest.mark.nightly
def test_people_that_rows_do_not_bring_are_asked_for(caller: Caller, relationship: str) -> None:
    """Meta may refuse an expanded edge, or leave it out without a word (REFERENCE 8.2)."""
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, relationship))

    caller.meta.switch(business_argument_in_expansion=False, refused_expansion="omit")
    omitted = check_finds_the_truth(caller, partner)
    caller.meta.switch(refused_expansion="fail")
    refused = check_finds_the_truth(caller, partner)
    remembered = check_finds_the_truth(caller, partner)

    assert omitted["http_requests"] <= remembered["http_requests"] < refused["http_requests"]


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_page_tokens_that_a_batch_ignores_are_sent_alone(caller: Caller) -> None:
    """An operation's own Authorization header is in no document of Meta's (REFERENCE 8.1)."""
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
def test_a_token_is_proven_without_the_shorter_ways(caller: Caller) -> None:
    """The same sixteen checks with the same verdict."""
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


def test_a_refusal_is_forgotten_after_a_week() -> None:
    """Meta may have changed its mind."""
    known = {
        "client_pixels": (now() - timedelta(days=8)).isoformat(),
        "client_ad_accounts": (now() - timedelta(days=6)).isoformat(),
    }

    assert still_refused(known) == {"client_ad_accounts"}
