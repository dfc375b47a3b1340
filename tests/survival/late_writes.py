"""Catches what a worker writes about a job that it does not have: triggers in the database itself.

On PostgreSQL, which knows the workers apart by the `application_name` of their connections. What a
transaction wrote counts only once it commits, and so do the rows in which the triggers note it.
"""

from tests.survival.deployment import Deployment

# Only whoever has the job writes here, while anybody may clear away what is left of one that ended.
# Its own row is also written by its parent.
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
# Who had the job when it was written about: the last that the engine said of its run.
_BY_OTHERS = """
SELECT w.worker, w.relation, w.job_id, count(*) FROM seen_writes w
CROSS JOIN LATERAL (
  SELECT r.executor FROM seen_runs r WHERE r.job_id = w.job_id AND r.at <= w.at
  ORDER BY r.at DESC LIMIT 1
) AS had
WHERE w.worker = ? AND had.executor IS DISTINCT FROM ? GROUP BY 1, 2, 3
"""


def watch_writes(deployment: Deployment) -> None:
    """From now on the database notes who has which job, and who writes about it."""
    of_staging = (_SEE_STAGING.format(table=table) for table in _STAGING)
    deployment.execute(_SET_UP + "".join(of_staging))


def late_writes(deployment: Deployment) -> tuple[int, list[str]]:
    """How many writes were seen, and those of workers about jobs that they had no longer."""
    late = [
        f"late write: {worker} wrote {rows} times to {relation} for {job_id}"
        for executor, running in deployment.workers.items()
        for worker, relation, job_id, rows in deployment.rows(
            _BY_OTHERS, (running.log_path.stem, executor)
        )
    ]
    return deployment.rows("SELECT count(*) FROM seen_writes")[0][0], late
