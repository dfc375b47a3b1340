"""Triggers in PostgreSQL that record what a worker writes about a job it no longer has.

The `application_name` of a connection identifies the worker. A write counts only once its
transaction commits, and so do the rows in which the triggers record it.
"""

from tests.survival.deployment import Deployment

# Only the worker that runs the job writes here, while any worker may delete rows of an ended job.
# The job's own row is also written by its parent job.
_STAGING = ("staged_partners", "staged_assets", "staged_users", "staged_grants")
_SET_UP = """
CREATE TABLE seen_writes (
  at timestamptz DEFAULT clock_timestamp(),
  worker text DEFAULT current_setting('application_name'),
  relation text, job_id uuid);
CREATE TABLE seen_runs (
  at timestamptz DEFAULT clock_timestamp(), executor text, job_id uuid);
CREATE FUNCTION see_staging() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO seen_writes (relation, job_id)
  VALUES (TG_TABLE_NAME, NEW.job_id);
  RETURN NULL; END $$;
CREATE FUNCTION see_job() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO seen_writes (relation, job_id) VALUES (TG_TABLE_NAME, NEW.id);
  RETURN NULL; END $$;
CREATE FUNCTION see_run() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO seen_runs (executor, job_id) VALUES (
    CASE NEW.status WHEN 'PENDING' THEN NEW.executor_id END,
    split_part(NEW.workflow_uuid, ':', 2)::uuid);
  RETURN NULL; END $$;
CREATE TRIGGER see_run AFTER UPDATE OF status ON dbos.workflow_status FOR EACH ROW
  WHEN (NEW.status IN ('PENDING', 'ENQUEUED')) EXECUTE FUNCTION see_run();
CREATE TRIGGER see_job AFTER UPDATE OF phase, attempt, graph_calls ON sync_jobs FOR EACH ROW
  WHEN (NEW.partner_id IS NOT NULL) EXECUTE FUNCTION see_job();
"""
_SEE_STAGING = """
CREATE TRIGGER see_staging AFTER INSERT OR UPDATE ON {table}
  FOR EACH ROW EXECUTE FUNCTION see_staging();
"""
# The worker that had the job at the time of the write, by the engine's last record of the run.
_BY_OTHERS = """
SELECT w.worker, w.relation, w.job_id, count(*) FROM seen_writes w
CROSS JOIN LATERAL (
  SELECT r.executor FROM seen_runs r WHERE r.job_id = w.job_id AND r.at <= w.at
  ORDER BY r.at DESC LIMIT 1
) AS had
WHERE w.worker = ? AND had.executor IS DISTINCT FROM ? GROUP BY 1, 2, 3
"""


def watch_writes(deployment: Deployment) -> None:
    """Create triggers that record which worker has which job, and which one writes about it."""
    of_staging = (_SEE_STAGING.format(table=table) for table in _STAGING)
    deployment.execute(_SET_UP + "".join(of_staging))


def late_writes(deployment: Deployment) -> tuple[int, list[str]]:
    """Return the number of writes, and those about a job that the worker no longer had."""
    late = [
        f"late write: {worker} wrote {rows} times to {relation} for {job_id}"
        for executor, running in deployment.workers.items()
        for worker, relation, job_id, rows in deployment.rows(
            _BY_OTHERS, (running.log_path.stem, executor)
        )
    ]
    return deployment.rows("SELECT count(*) FROM seen_writes")[0][0], late
