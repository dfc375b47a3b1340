"""Repeatable pseudo-random choices: the same labels always give the same result."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_UNIT = float(2**64)


def _digest(labels: tuple[object, ...], size: int) -> bytes:
    return blake2b("\x1f".join(map(str, labels)).encode(), digest_size=size).digest()


def number(*labels: object) -> int:
    """Return a 64-bit number that depends on the labels only."""
    return int.from_bytes(_digest(labels, 8), "big")


def share(*labels: object) -> float:
    """Return a number in [0, 1), for probabilities."""
    return number(*labels) / _UNIT


def choose(options: Sequence[T], *labels: object) -> T:
    return options[number(*labels) % len(options)]


def letters(length: int, *labels: object) -> str:
    """Return `length` letters and digits that depend on the labels only."""
    text = ""
    block = 0
    while len(text) < length:
        text += "".join(_ALPHABET[byte % 62] for byte in _digest((*labels, block), 64))
        block += 1
    return text[:length]
