"""Tokens and validations of one workspace in the database."""

import uuid
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import Capability, Partner, Token, TokenRequest, TokenValidation
from partner_connector.errors import found
from partner_connector.sealing.public import SealedToken


@dataclass(frozen=True, slots=True)
class Submission:
    """A sealed token, its owner and the purpose of its validation.

    `partner_id` None: the token of our own business.
    """

    integration_id: uuid.UUID
    partner_id: uuid.UUID | None
    sealed: SealedToken
    purpose: str


class TokenRepository:
    """Reads and adds tokens and validations of the workspace that it is created for."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def add_candidate(self, submitted: Submission) -> Token:
        """Add the owner's next token version. The caller holds the lock of the owner's row."""
        of_owner = self._of(submitted.integration_id, submitted.partner_id)
        newest = await self.session.scalar(select(func.max(Token.version)).where(*of_owner))
        token = Token(
            workspace_id=self.workspace_id,
            integration_id=submitted.integration_id,
            partner_id=submitted.partner_id,
            version=(newest or 0) + 1,
            sealed=submitted.sealed.box,
            key_id=submitted.sealed.key_id,
            fingerprint=submitted.sealed.fingerprint,
        )
        self.session.add(token)
        await self.session.flush()
        return token

    async def add_validation(self, token: Token, purpose: str) -> TokenValidation:
        """Add a queued validation of the token."""
        validation = TokenValidation(
            workspace_id=self.workspace_id,
            integration_id=token.integration_id,
            partner_id=token.partner_id,
            token_id=token.id,
            purpose=purpose,
        )
        self.session.add(validation)
        await self.session.flush()
        return validation

    async def pending_validation(self, submitted: Submission) -> TokenValidation | None:
        """Return the validation in progress of this token for this purpose, or None.

        A validation that a token request started is skipped, since revoking the request ends it. A
        validation is skipped too if a later token of the owner has been handed over, since the
        later token will supersede it.
        """
        of_owner = self._of(submitted.integration_id, submitted.partner_id)
        newest = (
            select(func.max(Token.version))
            .join(TokenValidation, TokenValidation.token_id == Token.id)
            .where(*of_owner, TokenValidation.purpose == submitted.purpose)
        )
        same = Token.sealed == submitted.sealed.box
        if submitted.sealed.fingerprint is not None:
            same = Token.fingerprint == submitted.sealed.fingerprint
        query = (
            select(TokenValidation)
            .join(Token, Token.id == TokenValidation.token_id)
            .outerjoin(TokenRequest, TokenRequest.validation_id == TokenValidation.id)
            .where(*of_owner, Token.state == "candidate", same)
            .where(TokenValidation.purpose == submitted.purpose)
            .where(TokenValidation.status != "completed")
            .where(TokenRequest.id.is_(None), Token.version == newest.scalar_subquery())
            .limit(1)
        )
        return await self.session.scalar(query)

    async def has_pending_validation(self, submitted: Submission) -> bool:
        """Return whether any token of this owner is being validated for this purpose."""
        of_owner = self._of(submitted.integration_id, submitted.partner_id)
        query = (
            select(Token.id)
            .join(TokenValidation, TokenValidation.token_id == Token.id)
            .where(*of_owner, Token.state == "candidate")
            .where(TokenValidation.purpose == submitted.purpose)
            .where(TokenValidation.status != "completed")
            .limit(1)
        )
        return await self.session.scalar(query) is not None

    async def get(self, token_id: uuid.UUID) -> Token:
        """Return a token. Raises `NotFound`."""
        query = select(Token).where(Token.workspace_id == self.workspace_id, Token.id == token_id)
        return found(await self.session.scalar(query))

    async def is_superseded(self, token: Token) -> bool:
        """Return whether a later version of the owner's token is active already."""
        active = await self.active(token.integration_id, token.partner_id)
        return active is not None and active.version > token.version

    async def active(self, integration_id: uuid.UUID, partner_id: uuid.UUID | None) -> Token | None:
        """Return the owner's active token or None. `partner_id` None: our own business's token."""
        query = select(Token).where(*self._of(integration_id, partner_id), Token.state == "active")
        return await self.session.scalar(query)

    async def candidates(self, partner_id: uuid.UUID) -> list[Token]:
        """Return the partner's tokens that are still being validated."""
        query = select(Token).where(
            Token.workspace_id == self.workspace_id,
            Token.partner_id == partner_id,
            Token.state == "candidate",
        )
        return list(await self.session.scalars(query))

    async def active_elsewhere(
        self, *, fingerprint: str, system_user_id: str | None, other_than: Token
    ) -> list[tuple[Token, str | None]]:
        """Return active tokens of other owners with this fingerprint or of this system user.

        Each comes with the partner's name, None for the token of our own business. At most 10.
        """
        same = Token.fingerprint == fingerprint
        if system_user_id is not None:
            same = same | (Token.system_user_id == system_user_id)
        owner_differs = (
            Token.integration_id != other_than.integration_id
        ) | Token.partner_id.is_distinct_from(other_than.partner_id)
        query = (
            select(Token, Partner.name)
            .outerjoin(Partner, Partner.id == Token.partner_id)
            .where(Token.workspace_id == self.workspace_id, Token.state == "active")
            .where(same, owner_differs)
            .limit(10)
        )
        return [(token, name) for token, name in (await self.session.execute(query)).all()]

    async def capability(self, partner_id: uuid.UUID) -> Capability | None:
        """Return what the partner's token can see; None before the first check for updates."""
        query = select(Capability).where(
            Capability.workspace_id == self.workspace_id, Capability.partner_id == partner_id
        )
        return await self.session.scalar(query)

    async def get_validation(self, validation_id: uuid.UUID) -> TokenValidation:
        """Return a validation. Raises `NotFound`."""
        query = select(TokenValidation).where(
            TokenValidation.workspace_id == self.workspace_id, TokenValidation.id == validation_id
        )
        return found(await self.session.scalar(query))

    def _of(
        self, integration_id: uuid.UUID, partner_id: uuid.UUID | None
    ) -> tuple[ColumnElement[bool], ...]:
        owner = Token.partner_id.is_(None) if partner_id is None else Token.partner_id == partner_id
        return (
            Token.workspace_id == self.workspace_id,
            Token.integration_id == integration_id,
            owner,
        )
