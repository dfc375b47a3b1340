"""The verdict of a soak, which reports what grows and nothing else."""

from pathlib import Path

import pytest

from tests.soak.record import Sample, Samples, read_samples
from tests.soak.verdict import WORK, judge


@pytest.mark.parametrize(
    ("values", "is_flat"),
    [
        ([0, 0, 9, 9, 9, 9, 9, 9], True),
        ([0, 50, 100, 100, 110, 105, 100, 110], True),
        ([100, 90, 80, 70, 60, 50, 40, 30], True),
        ([0, 100, 200, 300, 400, 500, 600, 700], False),
        ([0, 100, 200, 200, 210, 220, 255, 265], False),
    ],
)
def test_growing_series_is_reported(values: list[float], is_flat: bool) -> None:
    """Compare the last quarter with the second one, with a tolerance of 15 % and 20 rows."""
    taken: list[Sample] = [
        {"minutes": float(n), WORK: float(n * 10), "rows in sync_jobs": value}
        for n, value in enumerate(values)
    ]
    assert [verdict.is_flat for verdict in judge(taken)] == [is_flat]


def test_more_work_is_not_reported_as_growth() -> None:
    """Assert that three times the checks may leave three times the rows."""
    work = [0, 10, 20, 30, 60, 90, 120, 150]
    rows = [0, 100, 100, 100, 300, 300, 300, 300]
    taken = [
        {
            "minutes": float(minute),
            WORK: float(done),
            "rows in sync_jobs": float(left),
            "threads of the API": float(left),
        }
        for minute, (done, left) in enumerate(zip(work, rows, strict=True))
    ]
    verdicts = {verdict.name: verdict.is_flat for verdict in judge(taken)}
    assert verdicts == {"rows in sync_jobs": True, "threads of the API": False}


def test_samples_are_read_as_they_were_written(tmp_path: Path) -> None:
    """Cover a series that began later than the others."""
    written = Samples(tmp_path / "soak.csv")
    written.add({"a": 1.5})
    written.add({"a": 2.0, "b": 3})
    first, second = read_samples(written.path)
    assert (first["a"], first["b"], second["a"], second["b"]) == (1.5, 0, 2, 3)
    assert first["minutes"] <= second["minutes"]
