"""Test that the time of a refusal does not reveal whether a key id exists.

Keys with an unknown id, and keys with a real id and a wrong secret, are tried in random order. The
Mann-Whitney test compares their times. A p below the goal means that the times differ.
"""

import math
import random
import time
from collections.abc import Sequence

import httpx

from benchmarks.fast_graph import fast_graph
from benchmarks.fast_world import Size
from benchmarks.measure import Goal, Options, Report, Row, run
from benchmarks.product import product
from partner_connector import credentials

MIN_P = 0.01
PATH = "/v1/partners"
CHECKSUM_LENGTH = 6
NO_PEPPER = b"of no account: nothing is stored"


def measure(options: Options) -> Report:
    """Measure both kinds of wrong keys, in random order."""
    tries = options.size(2000, 50)
    milliseconds: dict[str, list[float]] = {"unknown key id": [], "wrong secret": []}
    with (
        fast_graph(Size(1, assets=4, users=4)) as graph,
        product("SQLite", graph) as running,
        httpx.Client(base_url=running.api.url, trust_env=False) as http,
    ):
        key_id = running.new_workspace()[1].split("_")[1]
        for _ in range(50):
            _refused(http, wrong_key())
        kinds = list(milliseconds) * tries
        random.shuffle(kinds)
        for kind in kinds:
            key = wrong_key() if kind == "unknown key id" else wrong_key(key_id)
            milliseconds[kind].append(_refused(http, key))
    rows = [Row(kind, times, "ms") for kind, times in milliseconds.items()]
    p = mann_whitney_p(*milliseconds.values())
    world = f"GET {PATH} with {tries:,} keys of each kind, all of them answered with 401."
    return Report("Wrong keys", world, rows, [Goal("p", p, MIN_P, "", at_least=True)])


def wrong_key(key_id: str | None = None) -> str:
    """Return a well-formed key that was never issued."""
    prefix, own_id, secret = credentials.mint(NO_PEPPER).secret.split("_")
    body = f"{prefix}_{key_id or own_id}_{secret[:-CHECKSUM_LENGTH]}"
    return body + credentials._checksum(body)  # noqa: SLF001 - a bad checksum is refused early


def _refused(http: httpx.Client, key: str) -> float:
    began = time.perf_counter()
    answer = http.get(PATH, headers={"Authorization": f"Bearer {key}"})
    took = (time.perf_counter() - began) * 1000
    assert answer.status_code == httpx.codes.UNAUTHORIZED
    return took


def mann_whitney_p(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the two-sided p by the normal approximation, which assumes few equal times."""
    ranked = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    rank_sum = sum(rank for rank, (_, of) in enumerate(ranked, start=1) if of == 0)
    n, m = len(first), len(second)
    u = rank_sum - n * (n + 1) / 2
    deviation = math.sqrt(n * m * (n + m + 1) / 12)
    return math.erfc(abs(u - n * m / 2) / deviation / math.sqrt(2))


if __name__ == "__main__":
    run(__doc__, measure)
