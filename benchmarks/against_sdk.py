"""Comparison of one check of one partner with Meta's official SDK, at 50 ms latency.

Four contenders run in turn: the SDK as its manual shows it, the SDK's batches, the product (a first
check, from the request until it is complete and stored), and the limit: a minimal httpx loop that
sends the product's requests with the same concurrency and discards the answers. There are two
worlds: a crowded one, like a big agency, and the one that the simulator makes.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from benchmarks import sdk
from benchmarks.customer import Customer, Json
from benchmarks.measure import Goal, Options, Report, Row, in_turn, report_progress, run
from benchmarks.product import product
from benchmarks.replay import Sent, recording, replay
from benchmarks.simulated import Meta, simulated_meta

LATENCY_SECONDS = 0.05
MIN_RATIO_SDK = 30.0
MIN_RATIO_BATCH = 2.5
MAX_RATIO_LIMIT = 1.25

SEQUENCE, BATCHES, LIMIT, PRODUCT = "SDK, in sequence", "SDK, batches", "limit", "product"

Times = dict[str, list[float]]


@dataclass(slots=True)
class ProductRuns:
    """Runs of the product against one simulated Meta, with additional times in seconds."""

    customer: Customer
    meta: Meta
    from_its_start: list[float] = field(default_factory=list)
    without_news: list[float] = field(default_factory=list)


def measure(options: Options) -> Report:
    """Measure both worlds, one after the other."""
    assets, users = options.size(200, 8), options.size(1000, 20)
    rows: list[Row] = []
    goals: list[Goal] = []
    worlds = [f"{assets} assets, {users:,} people, {LATENCY_SECONDS * 1000:.0f} ms latency"]
    for world in ("crowded", "as made"):
        with simulated_meta(assets, users, crowded=world == "crowded") as meta:
            report_progress(f"the world {world}")
            grants, times = _measure_world(options, meta)
        worlds.append(f"{world}: {grants:,} grants, {grants / assets:.0f} an asset")
        rows += [Row(f"{who}, {world}", values, "s") for who, values in times.items()]
        goals += _goals(times, world)
    return Report("Against the official SDK", f"1 partner, {'; '.join(worlds)}.", rows, goals)


def _goals(times: Times, world: str) -> list[Goal]:
    of = {who: median(values) for who, values in times.items()}
    sequence, batches = of[SEQUENCE] / of[PRODUCT], of[BATCHES] / of[PRODUCT]
    return [
        Goal(f"{SEQUENCE} / {PRODUCT}, {world}", sequence, MIN_RATIO_SDK, at_least=True),
        Goal(f"{BATCHES} / {PRODUCT}, {world}", batches, MIN_RATIO_BATCH, at_least=True),
        Goal(f"{PRODUCT} / {LIMIT}, {world}", of[PRODUCT] / of[LIMIT], MAX_RATIO_LIMIT),
    ]


def _measure_world(options: Options, meta: Meta) -> tuple[int, Times]:
    """Return the number of grants, and the seconds of every contender."""
    sdk.point_at(meta.url)
    truth = sdk.read_in_sequence(meta.partner_id, meta.partner_token)
    sent = _record_product_requests(meta)
    with product("SQLite", meta.url, meta.app_secret) as running:
        runs = ProductRuns(running.customer(), meta)
        times = in_turn(
            options.repeat,
            {
                SEQUENCE: lambda: _sdk(meta, sdk.read_in_sequence, truth),
                BATCHES: lambda: _sdk(meta, sdk.read_in_batches, truth),
                LIMIT: lambda: _limit(meta, sent),
                PRODUCT: lambda: _product(runs, truth),
            },
        )
    more = {
        f"{PRODUCT} from its start": runs.from_its_start,
        f"{PRODUCT} without news": runs.without_news,
    }
    return len(truth), times | more


def _sdk(meta: Meta, read: Callable[[str, str], sdk.Grants], truth: sdk.Grants) -> float:
    meta.latency(LATENCY_SECONDS)
    seconds, grants = sdk.timed(read, meta.partner_id, meta.partner_token)
    if grants != truth:
        raise RuntimeError("the two ways of the SDK found different grants")
    return seconds


def _limit(meta: Meta, sent: list[Sent]) -> float:
    meta.latency(LATENCY_SECONDS)
    return replay(meta.url, sent)


def _product(runs: ProductRuns, truth: sdk.Grants) -> float:
    """Return the seconds of the first check that sees the people."""
    integration, partner = _connected(runs.customer, runs.meta)
    runs.meta.latency(LATENCY_SECONDS)
    first, again = runs.customer.check(partner), runs.customer.check(partner)
    stored = _grants(runs.customer, partner)
    if stored != truth:
        raise RuntimeError(f"the product stored {len(stored)} grants, the SDK saw {len(truth)}")
    runs.customer.delete(integration)
    runs.from_its_start.append(first.working_seconds)
    runs.without_news.append(again.seconds)
    return first.seconds


def _connected(customer: Customer, meta: Meta) -> tuple[Json, Json]:
    """Connect a partner without people, then add them: the next check finds all of them new."""
    meta.latency(0)
    meta.show_people(shown=False)
    integration = customer.integrate(meta.host_id, meta.host_token)
    partner = customer.partners(integration)[meta.partner_id]
    customer.connect([(partner, meta.partner_token)])
    meta.show_people(shown=True)
    return integration, partner


def _grants(customer: Customer, partner: Json) -> sdk.Grants:
    """Return the stored direct grants. The SDK does not read access through asset groups."""
    users = customer.list_all(
        "/v1/partner-users", partner_id=partner["id"], state="active", expand="grants"
    )
    return {
        (_node_id(grant["asset"]), user["meta_user_id"])
        for user in users
        for grant in user["grants"]
        if grant["via"] == "direct"
    }


def _node_id(asset: Json) -> str:
    return f"act_{asset['meta_id']}" if asset["type"] == "ad_account" else str(asset["meta_id"])


def _record_product_requests(meta: Meta) -> list[Sent]:
    """Return all requests of one such check, recorded at the same latency."""
    with (
        recording(meta.url) as recorder,
        product("SQLite", recorder.url, meta.app_secret) as running,
    ):
        customer = running.customer()
        _, partner = _connected(customer, meta)
        meta.latency(LATENCY_SECONDS)
        recorder.sent.clear()
        customer.check(partner)
        report_progress(f"the product sends {len(recorder.sent)} requests")
        return recorder.sent


if __name__ == "__main__":
    # The SDK does not know the field tasks of assigned_users.
    warnings.filterwarnings("ignore", "assigned_users does not allow field", UserWarning)
    run(__doc__, measure)
