"""A customer's server with every kind of failure, while workers that send to it are killed."""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping

from partner_connector.features.webhooks.event_types import EventType
from tests.journey.caller import wait_until
from tests.journey.meta import Json
from tests.support.receivers import HANGS_UP, Received, Receiver, receiver
from tests.survival.customer import Customer, feed
from tests.survival.report import Report
from tests.survival.world import ChangingWorld

# Settings that the deployment needs for a receiver on this machine.
SETTINGS = {"WEBHOOK_ALLOW_LOOPBACK": "true"}

_LATENCY_SECONDS = 0.05
_ASLEEP_SECONDS = 3.0
_LONGEST_AIM_SECONDS = 1.5
_IN_A_ROW = 12
_ARRIVES_WITHIN_SECONDS = 120.0
# Makes every retry due now, since the schedule takes three days. Endpoints first, in the order in
# which the product locks them.
_HURRY = """
UPDATE webhook_endpoints SET resume_at = NULL;
UPDATE webhook_deliveries SET next_attempt_at = queued_at, leased_until = NULL
WHERE status = 'pending';
"""
_EVENT_TYPES = {
    "user_joined": "partner_user.joined",
    "user_rejoined": "partner_user.rejoined",
    "user_left": "partner_user.left",
    "user_role_changed": "partner_user.role_changed",
    "partner_listed": "partner.listed",
    "partner_unshared": "partner.unshared",
}
_OF_ACCESS = "partner_user.access_changed"

Trouble = Callable[[Receiver], None]


def _well(server: Receiver) -> None:
    server.awake.set()


def _broken(server: Receiver) -> None:
    server.answer_next(*[500] * _IN_A_ROW)


def _down(server: Receiver) -> None:
    server.answer_next(*[HANGS_UP] * _IN_A_ROW)


def _overloaded(server: Receiver) -> None:
    server.answer_next(*[429] * _IN_A_ROW, Retry_After="2")


def _asleep(server: Receiver) -> None:
    server.awake.clear()


TROUBLES: Mapping[str, Trouble] = {
    "answers": _well,
    "answers 500": _broken,
    "hangs up": _down,
    "answers 429 with Retry-After": _overloaded,
    "is slow": _asleep,
}


def trouble_receiver(subject: Customer, *, seed: int, rounds: int) -> Report:
    """Run checks while the server fails in each way and a worker is killed each time.

    Finally the server answers 410, is enabled again, and gets all missed events redelivered.
    """
    report = Report("webhooks to a server in trouble", subject, seed)
    dice = random.Random(f"{seed} webhooks")  # noqa: S311 - guards nothing
    world = ChangingWorld(subject.caller.meta, seed)
    began_with = len(list(feed(subject.caller)))
    subject.caller.meta.latency(_LATENCY_SECONDS)
    with receiver() as server:
        endpoint = _register(subject, server)
        for turn in range(rounds):
            name = list(TROUBLES)[turn % len(TROUBLES)]
            TROUBLES[name](server)
            _check_with_a_kill(subject, world, report, dice)
            time.sleep(_ASLEEP_SECONDS if name == "is slow" else 0)
            server.awake.set()
            report.notes[f"server {name}"] += 1
        server.answers.clear()
        _all_arrive(subject)
        report.violations += _wrong_order(server)
        _gone_and_back(subject, server, world, report, endpoint)
        report.violations += _wrong_events(subject, server, began_with)
        _count(report, server)
    subject.caller.meta.latency(0.0)
    return report.ended()


def _register(subject: Customer, server: Receiver) -> str:
    body = {"url": server.url, "event_types": [str(each) for each in EventType]}
    made = subject.caller.ask("POST", "/v1/webhook-endpoints", json=body)
    assert made.status_code == 201, made.text
    server.secret = made.json()["signing_secret"]
    return made.headers["Location"]


def _check_with_a_kill(
    subject: Customer, world: ChangingWorld, report: Report, dice: random.Random
) -> None:
    report.changes += world.change(subject.business_ids)
    job = subject.caller.start_check(subject.integration)
    subject.ended(job)
    report.checks += 1
    time.sleep(dice.uniform(0, _LONGEST_AIM_SECONDS))
    subject.deployment.kill_worker(dice.choice(sorted(subject.deployment.workers)))
    report.blows += 1
    subject.deployment.execute(_HURRY)
    subject.deployment.start_worker()
    subject.add_known_jobs(subject.all_jobs())


def _all_arrive(subject: Customer) -> None:
    pending = "SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'"

    def hurry() -> int:
        subject.deployment.execute(_HURRY)
        time.sleep(1)
        count: int = subject.deployment.rows(pending)[0][0]
        return count

    wait_until(hurry, lambda left: left == 0, seconds=_ARRIVES_WITHIN_SECONDS)


def _gone_and_back(
    subject: Customer, server: Receiver, world: ChangingWorld, report: Report, endpoint: str
) -> None:
    """Answer 410, which disables the endpoint; enable it and redeliver dead-lettered events."""
    # A disabled endpoint gets no new deliveries: all events are fanned out before it is disabled.
    server.awake.clear()
    report.changes += world.change(subject.business_ids)
    subject.ended(subject.caller.start_check(subject.integration))
    waiting = "SELECT count(*) FROM webhook_events WHERE sequence IS NULL"
    wait_until(lambda: subject.deployment.rows(waiting)[0][0], lambda events: events == 0)
    server.answers.append((410, {}))
    server.awake.set()
    wait_until(lambda: subject.caller.get(endpoint), lambda seen: seen["disabled_reason"] == "gone")
    enabled = subject.caller.ask("PATCH", endpoint, json={"status": "enabled"})
    assert enabled.status_code == 200, enabled.text
    dead = subject.caller.everything(f"{endpoint}/deliveries", status="dead_lettered")
    report.notes["dead-lettered by a 410"] += len(dead)
    body = {"since_at": min(each["created_at"] for each in dead)}
    again = subject.caller.ask("POST", f"{endpoint}/redeliver", json=body)
    if again.json().get("redelivered") != len(dead):
        report.violations.append(f"not redelivered: {again.text} of {len(dead)}")
    _all_arrive(subject)


def _wrong_order(server: Receiver) -> list[str]:
    """Return the partners whose events were first accepted out of order."""
    sequences: dict[str, list[int]] = {}
    for each in server.accepted:
        of_partner = sequences.setdefault(each.data["partner_id"], [])
        if each.data["sequence"] not in of_partner:
            of_partner.append(each.data["sequence"])
    return [
        f"out of order: {partner_id} {received}"
        for partner_id, received in sequences.items()
        if received != sorted(received)
    ]


def _wrong_events(subject: Customer, server: Receiver, began_with: int) -> list[str]:
    """Return lost, changed or unexpected events, compared with the change feed."""
    bodies: dict[str, set[bytes]] = {}
    for each in server.requests:
        bodies.setdefault(each.id, set()).add(each.raw)
    found = [f"two bodies: {one}" for one, different in bodies.items() if len(different) > 1]
    accepted = {each.id: each for each in server.accepted}
    rows = subject.deployment.rows("SELECT count(*) FROM webhook_events")
    if len(accepted) != rows[0][0]:
        found.append(f"event lost: {len(accepted)} of {rows[0][0]} arrived")
    changes = list(feed(subject.caller))[began_with:]
    wanted = Counter(_events_of_feed(changes))
    sent = Counter(_event_of_message(each) for each in accepted.values() if _is_of_feed(each))
    found += [f"not sent: {one}" for one in (wanted - sent).elements()]
    found += [f"sent without a change: {one}" for one in (sent - wanted).elements()]
    for each in accepted.values():
        if each.body["type"] == _OF_ACCESS and each.data["change_sequence"] is None:
            found.append(f"of no change: {each.id}")
    return found


def _events_of_feed(changes: list[Json]) -> list[tuple[str, int]]:
    return [
        (_EVENT_TYPES[change["kind"]], change["sequence"])
        for change in changes
        if change["kind"] in _EVENT_TYPES
    ]


def _is_of_feed(message: Received) -> bool:
    return message.body["type"] in _EVENT_TYPES.values()


def _event_of_message(message: Received) -> tuple[str, int]:
    return message.body["type"], message.data["change_sequence"]


def _count(report: Report, server: Receiver) -> None:
    report.judged["events"] += len({each.id for each in server.requests})
    report.judged["attempts that arrived here"] += len(server.requests)
    accepted = [each.id for each in server.accepted]
    report.judged["accepted more than once"] += len(accepted) - len(set(accepted))
