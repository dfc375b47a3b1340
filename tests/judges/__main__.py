"""`make contract`: all external checks of the API contract, one after another."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.judges.fuzzing import withstands
from tests.judges.mock import prism, wrong_examples
from tests.judges.planted import rules_without_a_finding
from tests.judges.tools import CHECKOUT, DOCUMENT, HERE, npm, passes


def mock_works(directory: Path) -> bool:
    """Return whether Prism answers every operation with an example of its schema."""
    print("== Prism", flush=True)
    with prism(directory / "prism.log") as client:
        found = wrong_examples(client)
    print("\n".join(found))
    print(f"== Prism: {'FAIL' if found else 'pass'}", flush=True)
    return not found


def own_rules_find_faults(directory: Path) -> bool:
    """Return whether each of our own rules finds a planted fault."""
    print("== Our rules of Spectral, against a fault for each", flush=True)
    missed = rules_without_a_finding(directory)
    print("\n".join(missed))
    print(f"== Our rules of Spectral: {'FAIL' if missed else 'pass'}", flush=True)
    return not missed


def main() -> None:
    """Run every check, whatever the others found; exit with 1 where one found something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for Schemathesis (60)")
    options = parser.parse_args()
    clients = "tests/journey/test_generated_clients.py"
    with tempfile.TemporaryDirectory(prefix="partner-connector-contract-") as directory:
        verdicts = [
            passes(
                "Spectral",
                *(npm("spectral"), "lint", DOCUMENT),
                *("--ruleset", HERE / "spectral.yaml", "--fail-severity", "hint"),
            ),
            own_rules_find_faults(Path(directory)),
            passes("Redocly", npm("redocly"), "lint", DOCUMENT, "--config", HERE / "redocly.yaml"),
            mock_works(Path(directory)),
            passes("Clients", sys.executable, "-m", "pytest", "-q", clients, cwd=CHECKOUT),
            withstands(Path(directory), options.seconds),
        ]
    sys.exit(0 if all(verdicts) else 1)


if __name__ == "__main__":
    main()
