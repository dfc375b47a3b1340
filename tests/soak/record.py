"""Samples of a soak in a file, which can be read without the product."""

import csv
import time
from pathlib import Path

Sample = dict[str, float]


class Samples:
    """File with a line for each sample."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.began = time.monotonic()
        self.taken: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Add a sample and write the file at once, so that an interrupted soak keeps it."""
        timed = {"minutes": (time.monotonic() - self.began) / 60, **sample}
        self.taken.append(timed)
        names = list(dict.fromkeys(name for one in self.taken for name in one))
        with self.path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names, restval="0")
            writer.writeheader()
            writer.writerows(
                {name: f"{value:.6g}" for name, value in one.items()} for one in self.taken
            )


def read_samples(path: Path) -> list[Sample]:
    """Return the samples of a file."""
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
