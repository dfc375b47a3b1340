"""Small sample of the campaign (`python -m tests.rotation` plays all of it)."""

from pathlib import Path

import pytest

from tests.rotation.kills import kill_resealing


@pytest.mark.nightly
def test_no_token_is_lost_to_a_kill(database_url: str, tmp_path: Path) -> None:
    """Assert that every token opens with the current key after three kills during a re-seal."""
    report = kill_resealing(tmp_path, database_url, kills=3, seed=20261124, partners=150)
    print(report)
    assert report.violations == []
    assert report.in_the_middle > 0
