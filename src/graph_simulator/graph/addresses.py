"""What a path says by itself: its version, its parts, and how counters and faults call it."""

import re

NEWEST = (26, 0)
OLDEST_SERVED = (21, 0)
_VERSION = re.compile(r"v(\d{1,3})\.(\d)")


def split_version(path: str) -> tuple[str, list[str]]:
    """`/v26.0/1/agencies` → ("v26.0", ["1", "agencies"]); no version gives an empty text."""
    parts = [part for part in path.split("/") if part]
    if parts and _VERSION.fullmatch(parts[0]):
        return parts[0], parts[1:]
    return "", parts


def served_version(asked: str, unversioned: str) -> str | None:
    """An expired version is served by the oldest living one, a future one by none (section 1)."""
    match = _VERSION.fullmatch(asked or unversioned)
    if match is None:
        return None
    version = (int(match[1]), int(match[2]))
    if version > NEWEST or version < (2, 0):
        return None
    major, minor = max(version, OLDEST_SERVED)
    return f"v{major}.{minor}"


def edge_name(parts: list[str]) -> str:
    """How faults and counters call a path: the edge, else `me`, `app`, `debug_token` or `node`."""
    if not parts:
        return "root"
    if len(parts) > 1:
        return parts[-1]
    return parts[0] if parts[0] in ("me", "app", "debug_token") else "node"
