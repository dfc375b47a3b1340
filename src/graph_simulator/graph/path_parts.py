"""Parsing of request paths: the version, the parts, and the edge name for counters and faults.

A mark such as `#versions` is a heading of `docs/reference/graph-facts.md`.
"""

import re

NEWEST = (26, 0)
OLDEST_SERVED = (21, 0)
_VERSION = re.compile(r"v(\d{1,3})\.(\d)")


def split_version(path: str) -> tuple[str, list[str]]:
    """Split `/v26.0/1/agencies` into ("v26.0", ["1", "agencies"]). Without a version: ""."""
    parts = [part for part in path.split("/") if part]
    if parts and _VERSION.fullmatch(parts[0]):
        return parts[0], parts[1:]
    return "", parts


def served_version(requested: str, unversioned: str) -> str | None:
    """Return the version that serves a call, or None for an unknown version (`#versions`).

    The oldest supported version serves the calls for an expired version.
    """
    match = _VERSION.fullmatch(requested or unversioned)
    if match is None:
        return None
    version = (int(match[1]), int(match[2]))
    if version > NEWEST or version < (2, 0):
        return None
    major, minor = max(version, OLDEST_SERVED)
    return f"v{major}.{minor}"


def edge_name(parts: list[str]) -> str:
    """Return the edge of a path; without one `me`, `app`, `debug_token`, `node` or `root`."""
    if not parts:
        return "root"
    if len(parts) > 1:
        return parts[-1]
    return parts[0] if parts[0] in ("me", "app", "debug_token") else "node"
