"""Runner of all benchmarks, with the same options for each: `python -m benchmarks --quick`.

A failed benchmark does not stop the others; it makes the exit code 1.
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
    """Run all benchmarks. Return 1 if one of them failed, else 0."""
    exit_codes = []
    for name in NAMES:
        finished = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *options], check=False
        )
        exit_codes.append(finished.returncode)
        print(flush=True)
    return int(any(exit_codes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
