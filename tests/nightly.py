"""All long campaigns: `make nightly`, or `python -m tests.nightly --help`.

Prints the result of each stage, and exits with 1 where one failed. A failed stage does not stop the
next one.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence

# Scenarios that the sample in `pytest --nightly` does not cover, and that end in minutes.
_SURVIVAL_SCENARIOS = (
    "kill",
    "freeze",
    "stop",
    "api",
    "lose-host",
    "lose-host-in-transaction",
    "webhooks",
)


def stages(asked: argparse.Namespace) -> dict[str, list[str]]:
    """Return the arguments of Python for each stage, by name."""
    kills, rounds, seed = map(str, (asked.kills, asked.rounds, asked.seed))
    history = ["-m", "tests.journey.histories", "--rounds", rounds, "--seed", seed]
    only = [part for name in _SURVIVAL_SCENARIOS for part in ("--only", name)]
    survival = ["--kills", kills, "--seed", seed, "--partners", "6", *only]
    return {
        "tests": ["-m", "pytest", "-n", "3", "--dist", "loadscope", "--nightly"],
        "faults": ["-m", "tests.journey.all_faults"],
        "history": history,
        "history-apart": [*history, "--postgresql"],
        "rotation": ["-m", "tests.rotation", "--kills", kills, "--seed", seed, "--partners", "150"],
        "survival": ["-m", "tests.survival", *survival],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Play every requested stage; return 1 where one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.nightly", description=__doc__)
    add = parser.add_argument
    add("--kills", type=int, default=8, help="of each kind of process; default %(default)s")
    add("--rounds", type=int, default=30, help="of each history; default %(default)s")
    add("--seed", type=int, default=1, help="of all that is random; default %(default)s")
    add("--only", action="append", help="a stage, can be repeated; default all")
    asked = parser.parse_args(arguments)
    ended = {}
    for name, command in stages(asked).items():
        if name in (asked.only or [name]):
            print(f"\n=== {name}: python {' '.join(command)}", flush=True)
            began = time.monotonic()
            code = subprocess.run([sys.executable, *command], check=False).returncode
            ended[name] = code, time.monotonic() - began
    print()
    for name, (code, seconds) in ended.items():
        print(f"{name:14} {'failed' if code else 'passed'} {seconds / 60:5.1f} min")
    return int(any(code for code, _ in ended.values()))


if __name__ == "__main__":
    sys.exit(main())
