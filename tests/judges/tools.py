"""Paths of the external checkers, and a function that runs one."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
DOCUMENT = CHECKOUT / "openapi" / "openapi.json"
HERE = Path(__file__).parent
NODE = Path(sys.executable).with_name("node")
SCHEMATHESIS = CHECKOUT / ".venv-tools" / "bin" / "st"
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{NODE.parent}:{os.environ['PATH']}",
    "NO_PROXY": "*",
    "REDOCLY_TELEMETRY": "off",
    "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
}


def npm(name: str) -> Path:
    """Return the path of a program of `package.json`."""
    return HERE / "node_modules" / ".bin" / name


def passes(
    title: str, *command: str | Path, cwd: Path = HERE, variables: Mapping[str, str] | None = None
) -> bool:
    """Run one checker with its own output; return whether it passes."""
    print(f"== {title}", flush=True)
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=ENVIRONMENT | dict(variables or {}),
        check=False,
    )
    print(f"== {title}: {'pass' if done.returncode == 0 else 'FAIL'}", flush=True)
    return done.returncode == 0
