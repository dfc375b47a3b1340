"""Charts of a soak: `python -m tests.soak.draw soak docs/explanation/soak.png`.

Needs the group `tools` of `pyproject.toml` and nothing of the product.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt  # type: ignore[import-not-found]  # in an environment of its own

from tests.soak.record import Sample, read_samples

OURS = (
    "sync_jobs",
    "sync_job_events",
    "webhook_events",
    "webhook_deliveries",
    "token_validations",
    "tokens",
    "idempotency_keys",
)
OF_THE_ENGINE = ("workflow_status", "workflow_input", "workflow_output", "operation_outputs")
NAMES = {"sqlite": "SQLite, one process", "postgresql": "PostgreSQL, an API and two workers"}

Chosen = Callable[[str], bool]

_PANELS: tuple[tuple[str, Chosen], ...] = (
    ("memory, MB resident", lambda name: name.startswith("MB resident")),
    ("threads, file handles", lambda name: name.startswith(("threads", "file handles"))),
    ("rows of ours that are deleted", lambda name: name in {f"rows in {one}" for one in OURS}),
    ("rows of the engine", lambda name: name.split(" ")[-1].removeprefix("dbos.") in OF_THE_ENGINE),
    ("rows that are kept", lambda name: name in {"rows in changes", "rows in audit_events"}),
    ("done so far", lambda name: name.startswith("done: ")),
)

# Flat series leave room for the legend below.
_FLAT = {title for title, _ in _PANELS[:2]}


def draw(directory: Path, picture: Path) -> None:
    """Draw one column for each database with samples, and one row for each kind of series."""
    found = {name: directory / f"soak-{name}.csv" for name in NAMES}
    databases = {name: read_samples(path) for name, path in found.items() if path.exists()}
    size = (7.5 * len(databases), 3.0 * len(_PANELS))
    figure, axes = plt.subplots(
        len(_PANELS), len(databases), figsize=size, squeeze=False, sharex="col"
    )
    for column, (name, samples) in enumerate(databases.items()):
        axes[0][column].set_title(NAMES[name])
        axes[-1][column].set_xlabel("minutes")
        for row, (title, is_chosen) in enumerate(_PANELS):
            _draw_panel(axes[row][column], title, samples, is_chosen)
    figure.tight_layout()
    figure.savefig(picture, dpi=80)


def _draw_panel(axis: Any, title: str, samples: Sequence[Sample], is_chosen: Chosen) -> None:
    minutes = [sample["minutes"] for sample in samples]
    for name in filter(is_chosen, samples[-1]):
        label = name.removeprefix("rows in ").removeprefix("done: ").removeprefix("MB resident of ")
        axis.plot(minutes, [sample[name] for sample in samples], label=label, linewidth=1.2)
    axis.set_ylabel(title)
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    axis.legend(
        fontsize="x-small", loc="lower right" if axis.get_ylabel() in _FLAT else "upper left"
    )


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
