"""Kinds of durable work: names and constructors, shared by the API and the worker."""

import uuid
from datetime import datetime

from partner_connector.durable.engine import SYNC_QUEUE, VALIDATION_QUEUE, Work

SYNC_CLASS = "Sync"
SYNC_INTEGRATION = "sync_integration"
SYNC_PARTNER = "sync_partner"
VALIDATION_CLASS = "Validation"
VALIDATE_TOKEN = "validate_token"  # noqa: S105 - the name of a workflow


def run_id(workflow: str, subject_id: str, attempt: int) -> str:
    """Return the engine's id of one attempt. Enqueuing the same attempt twice makes one run."""
    return f"{workflow}:{subject_id}:{attempt}"


def validate_token(
    validation_id: uuid.UUID,
    owner_id: uuid.UUID,
    *,
    attempt: int = 1,
    not_before: datetime | None = None,
) -> Work:
    """Return the work that validates one token. Validations of one owner run one at a time.

    The owner is a partner, or the integration for our own business's token.
    """
    return Work(
        workflow=VALIDATE_TOKEN,
        workflow_class=VALIDATION_CLASS,
        queue=VALIDATION_QUEUE,
        partition=owner_id.hex,
        subject_id=str(validation_id),
        run_id=run_id(VALIDATE_TOKEN, str(validation_id), attempt),
        attempt=attempt,
        not_before=not_before,
    )


def sync(
    task: str,
    job_id: uuid.UUID,
    target_id: uuid.UUID,
    *,
    attempt: int = 1,
    not_before: datetime | None = None,
) -> Work:
    """Return a check for updates of one target: a partner, or a whole integration."""
    return Work(
        workflow=task,
        workflow_class=SYNC_CLASS,
        queue=SYNC_QUEUE,
        partition=target_id.hex,
        subject_id=str(job_id),
        run_id=run_id(task, str(job_id), attempt),
        attempt=attempt,
        not_before=not_before,
    )
