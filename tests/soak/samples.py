"""Resources of a deployment, measured from outside: its processes and its tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.soak.record import Sample
from tests.support.processes import Running
from tests.survival.deployment import Deployment

_PAGE_BYTES = 4096

_SQLITE_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
_POSTGRES_TABLES = (
    "SELECT CASE schemaname WHEN 'dbos' THEN 'dbos.' || tablename ELSE tablename END "
    "FROM pg_tables WHERE schemaname IN ('public', 'dbos')"
)
_SQLITE_BYTES = (
    "SELECT (page_count - freelist_count) * page_size "
    "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
)
_POSTGRES_BYTES = "SELECT pg_database_size(current_database())"


@dataclass(frozen=True, slots=True)
class Probe:
    """Measurement of one deployment."""

    deployment: Deployment
    tables: Sequence[str]

    @classmethod
    def of(cls, deployment: Deployment) -> "Probe":
        """Return a probe of all tables, ours and the engine's."""
        query = _SQLITE_TABLES if deployment.is_embedded else _POSTGRES_TABLES
        return cls(deployment, sorted(str(name) for (name,) in deployment.rows(query)))

    def sample(self, done: Mapping[str, int]) -> Sample:
        """Take one sample of every process, every table and the work done so far."""
        sample: Sample = {f"done: {what}": count for what, count in done.items()}
        for name, running in self._processes().items():
            sample |= {f"{what} of {name}": value for what, value in _of_process(running).items()}
        counts = " UNION ALL ".join(
            f"SELECT '{table}', count(*) FROM {table}"  # noqa: S608 - names of our own tables
            for table in self.tables
        )
        sample |= {f"rows in {table}": count for table, count in self.deployment.rows(counts)}
        query = _SQLITE_BYTES if self.deployment.is_embedded else _POSTGRES_BYTES
        sample["MB of the database"] = self.deployment.rows(query)[0][0] / 1e6
        return sample

    def expire_keys(self, seconds: float) -> None:
        """Expire the idempotency keys that are older than `seconds`.

        The product keeps them for a day, which is no setting.
        """
        before = f"{datetime.now(UTC) - timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S.%f+00:00}"
        self.deployment.execute(
            f"UPDATE idempotency_keys SET expires_at = created_at WHERE created_at < '{before}'"  # noqa: S608 - a time of ours
        )

    def _processes(self) -> dict[str, Running]:
        if self.deployment.is_embedded:
            return {"the process": self.deployment.api}
        workers = {
            f"worker {number}": running
            for number, running in enumerate(self.deployment.workers.values(), 1)
        }
        return {"the API": self.deployment.api, **workers}


def _of_process(running: Running) -> Sample:
    proc = Path("/proc") / str(running.process.pid)
    resident_pages = int((proc / "statm").read_text().split()[1])
    return {
        "MB resident": resident_pages * _PAGE_BYTES / 1e6,
        "threads": len(list((proc / "task").iterdir())),
        "file handles": len(list((proc / "fd").iterdir())),
    }
