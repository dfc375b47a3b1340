"""Token validation as a durable workflow with one step.

A crash in the step makes the step run again from its start. That is safe: its reads can be
repeated, and its only transaction comes last.
"""

import uuid

import structlog
from dbos import DBOS, DBOSConfiguredInstance
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.locks import lock_integration, lock_token, lock_validation
from partner_connector.db.models import Integration, Partner, Token, TokenValidation
from partner_connector.durable import tasks
from partner_connector.durable.engine import INSTANCE
from partner_connector.durable.runs import traced_run
from partner_connector.features.sync_jobs.repository import SyncJobRepository
from partner_connector.features.tokens.repository import TokenRepository
from partner_connector.features.tokens.token_format import MalformedToken, canonical
from partner_connector.graph import GraphError, GraphReader
from partner_connector.ids import encode
from partner_connector.sealing.private import UnreadableToken
from partner_connector.telemetry import tracing
from partner_connector.worker import token_decryption
from partner_connector.worker.backoff import Pause, StepCrashed, pause_after_crash, pause_for
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.meta.unsupported_reads import recent_refusals
from partner_connector.worker.token_decryption import reader_for
from partner_connector.worker.validation import verdicts
from partner_connector.worker.validation.checks import Reuse, evaluate
from partner_connector.worker.validation.evidence import Evidence, Subject, gather
from partner_connector.worker.validation.outcome import store_verdict
from partner_connector.worker.validation.recheck import store_recheck
from partner_connector.worker.validation.verdicts import Check

log = structlog.get_logger()


@DBOS.dbos_class(tasks.VALIDATION_CLASS)
class ValidationWorkflows(DBOSConfiguredInstance):
    """Workflows of token validation, bound to the dependencies of one worker."""

    def __init__(self, context: WorkerContext) -> None:
        self.context = context
        super().__init__(INSTANCE)

    @DBOS.workflow(name=tasks.VALIDATE_TOKEN)
    async def validate_token(self, validation_id: str, attempt: int) -> str:
        """Validate one token. While Meta cannot be reached, wait without a verdict."""
        async with traced_run(self.context.database, tasks.VALIDATE_TOKEN, validation_id, attempt):
            try:
                return await self.validate(validation_id, attempt)
            except Exception as error:
                return await self.recover(validation_id, attempt, str(StepCrashed.of(error)))

    @DBOS.step(name="prove_token")
    async def validate(self, validation_id: str, attempt: int) -> str:
        """Open the token, read evidence, check it and store the verdict.

        Return the outcome, which the engine records. Raises `StepCrashed` for an internal error.
        """
        try:
            return await self._attempt(validation_id, attempt)
        except Exception as error:
            raise StepCrashed.of(error) from None

    async def _attempt(self, validation_id: str, attempt: int) -> str:
        with structlog.contextvars.bound_contextvars(validation_id=validation_id):
            started = await self._begin(uuid.UUID(validation_id), attempt)
            if started is None:
                return "nothing_to_do"
            token, subject, own_token = started
            workspace = {"workspace_id": str(token.workspace_id)}
            with (
                structlog.contextvars.bound_contextvars(**workspace),
                tracing.span("step prove_token", validation_id=validation_id, **workspace),
            ):
                try:
                    return await self._validate(uuid.UUID(validation_id), token, subject, own_token)
                except GraphError as error:
                    pause = pause_for(error, attempt)
                    if pause is not None:
                        return await self._park(uuid.UUID(validation_id), attempt, pause)
                    detail = f"Meta answered: {error}"
                    checks = verdicts.inconclusive(_names(subject), "meta_refused", detail)
                    return await self._conclude(uuid.UUID(validation_id), checks)

    # Retried for some minutes: the cause, such as an unreachable database, may last that long.
    @DBOS.step(
        name="recover_validation", retries_allowed=True, interval_seconds=2.0, max_attempts=8
    )
    async def recover(self, validation_id: str, attempt: int, error: str) -> str:
        """Retry a validation that crashed; store a failed check once all retries are used."""
        log.error("token_validation_crashed", validation_id=validation_id, error=error)
        async with self.context.database.writing() as session:
            validation = await session.get(TokenValidation, uuid.UUID(validation_id))
            if validation is None or validation.attempt != attempt:
                return "nothing_to_do"
            validation.crashes += 1
            pause = pause_after_crash(validation.crashes)
        if pause is not None:
            return await self._park(validation.id, attempt, pause)
        names = verdicts.checks_of(validation.partner_id is not None)
        detail = "An internal error of this service stopped the check."
        checks = verdicts.inconclusive(names, "internal_error", detail)
        return await self._conclude(validation.id, checks)

    async def _begin(
        self, validation_id: uuid.UUID, attempt: int
    ) -> tuple[Token, Subject, Token | None] | None:
        async with self.context.database.writing() as session:
            validation = await session.get(TokenValidation, validation_id)
            if validation is None or not _is_under_way(validation, attempt):
                return None
            validation.status = "running"
            validation.resume_at = None
            validation.started_at = validation.started_at or now()
            token = await session.get_one(Token, validation.token_id)
            integration = await session.get_one(Integration, validation.integration_id)
            partner = (
                await session.get_one(Partner, validation.partner_id)
                if validation.partner_id
                else None
            )
            tokens = TokenRepository(session, validation.workspace_id)
            own_token = await tokens.active(integration.id, None) if partner else None
            subject = Subject(
                own_business_id=integration.meta_business_id,
                partner_business_id=partner.meta_business_id if partner else None,
                partner_is_listed=partner is None or partner.presence == "listed",
                app_id=self.context.settings.meta_app_id,
                relationship=partner.relationship if partner else "",
                refused_by_meta=recent_refusals(partner.refused_by_meta)
                if partner
                else frozenset(),
            )
        return token, subject, own_token

    async def _validate(
        self, validation_id: uuid.UUID, token: Token, subject: Subject, own_token: Token | None
    ) -> str:
        """Validate the token. Only this function and the functions that it calls see plaintext."""
        names = _names(subject)
        try:
            plaintext = canonical(token_decryption.open_token(token, self.context.keyring))
        except UnreadableToken as error:
            if error.code == "key_lost" and token.state == "candidate":
                # The API may know a new key before this worker does: retry instead of a verdict.
                raise
            detail = "The stored token cannot be decrypted with the key that it names."
            refused = verdicts.not_a_token(names, error.code, detail)
            return await self._conclude(validation_id, refused)
        except MalformedToken as error:
            refused = verdicts.not_a_token(names, error.code, error.detail)
            return await self._conclude(validation_id, refused)
        own_reader = self._reader(own_token)
        evidence = await gather(
            self.context.graph, plaintext, subject, own_reader, account=str(token.id)
        )
        fingerprint = self.context.public_keyring.fingerprint(plaintext)
        reuse = await self._reuse(token, fingerprint, evidence.system_user_id)
        found = evaluate(evidence, subject, reuse, names)
        return await self._conclude(validation_id, found, evidence, plaintext, fingerprint)

    def _reader(self, own_token: Token | None) -> GraphReader | None:
        if own_token is None:
            return None
        try:
            return reader_for(self.context, own_token)
        except UnreadableToken:
            return None

    async def _reuse(self, token: Token, fingerprint: str, system_user_id: str | None) -> Reuse:
        async with self.context.database.reading() as session:
            tokens = TokenRepository(session, token.workspace_id)
            others = await tokens.active_elsewhere(
                fingerprint=fingerprint, system_user_id=system_user_id, other_than=token
            )
        if token.partner_id is None:
            return Reuse(active_at=[name or "another integration" for _, name in others])
        names = [name for _, name in others if name is not None]
        return Reuse(is_own_token=any(name is None for _, name in others), active_at=names)

    async def _conclude(
        self,
        validation_id: uuid.UUID,
        checks: list[Check],
        evidence: Evidence | None = None,
        plaintext: str | None = None,
        fingerprint: str | None = None,
    ) -> str:
        async with self.context.database.writing() as session:
            validation = await session.get(TokenValidation, validation_id)
            if validation is None or validation.status == "completed":
                return "nothing_to_do"
            await self._lock_owner(session, validation)
            token = await lock_token(session, validation.token_id)
            if token is None or await lock_validation(session, validation_id) is None:
                return "nothing_to_do"
            audit = self.context.recorder(validation.workspace_id, encode("val", validation.id))
            if validation.purpose == "health":
                await store_recheck(session, audit, validation, token, checks, evidence)
                return str(token.health)
            if await self._is_withdrawn(session, validation, token):
                names = verdicts.checks_of(validation.partner_id is not None)
                checks, evidence, plaintext = verdicts.withdrawn(names), None, None
            await store_verdict(
                session,
                self.context.queue,
                self.context.keyring,
                audit,
                validation=validation,
                token=token,
                checks=checks,
                evidence=evidence,
                plaintext=plaintext,
                fingerprint=fingerprint,
            )
            log.info("token_validated", verdict=validation.verdict, purpose=validation.purpose)
            return str(validation.verdict)

    async def _lock_owner(self, session: AsyncSession, validation: TokenValidation) -> None:
        """Lock the owner's row, so that a hand-over or a disconnect does not happen meanwhile."""
        if validation.partner_id is not None:
            jobs = SyncJobRepository(session, validation.workspace_id)
            await jobs.lock_partner_and_plan(validation.partner_id)
        else:
            await lock_integration(session, validation.integration_id)

    async def _is_withdrawn(
        self, session: AsyncSession, validation: TokenValidation, token: Token
    ) -> bool:
        if token.state != "candidate" or token.sealed is None:
            return True
        if validation.purpose == "dry_run":
            return False
        return await TokenRepository(session, token.workspace_id).is_superseded(token)

    async def _park(self, validation_id: uuid.UUID, attempt: int, pause: Pause) -> str:
        async with self.context.database.writing() as session:
            validation = await lock_validation(session, validation_id)
            if validation is None or not _is_under_way(validation, attempt):
                return "nothing_to_do"
            validation.attempt = attempt + 1
            validation.resume_at = pause.resume_at
            owner = validation.partner_id or validation.integration_id
            next_attempt = tasks.validate_token(
                validation_id, owner, attempt=attempt + 1, not_before=pause.resume_at
            )
            await self.context.queue.enqueue(session, next_attempt)
        log.info("token_validation_waiting", reason=pause.reason, attempt=attempt)
        return pause.reason


def _is_under_way(validation: TokenValidation, attempt: int) -> bool:
    return validation.status != "completed" and validation.attempt == attempt


def _names(subject: Subject) -> tuple[str, ...]:
    return verdicts.checks_of(subject.partner_business_id is not None)
