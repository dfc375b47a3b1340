"""All benchmarks, one after the other, each with the same options: `python -m benchmarks --quick`.

One that could not run does not keep the others from it; it makes the exit code 1.
"""

import subprocess
import sys

NAMES = (
    "against_sdk",
    "cost_per_grant",
    "one_big_partner",
    "reads_during_a_sync",
    "many_partners",
    "scale",
    "keys_alike",
    "csv_of_users",
    "idle_streams",
    "reading",
    "cold_start",
)


def main(options: list[str]) -> int:
    """The number of benchmarks that did not end well, as an exit code."""
    ends = []
    for name in NAMES:
        ended = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *options], check=False)
        ends.append(ended.returncode)
        print(flush=True)
    return int(any(ends))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
