"""What is answered about the proof of a token, at once and after a while."""

from typing import Any

from fastapi import Response

from partner_connector.db.models import TokenValidation
from partner_connector.features.tokens.repository import TokenRepository
from partner_connector.features.tokens.schemas import TokenValidationView
from partner_connector.ids import encode
from partner_connector.web import prefer_wait
from partner_connector.web.context import ApiContext

COMPLETED_WHILE_WAITING: dict[int | str, dict[str, Any]] = {
    200: {"model": TokenValidationView, "description": "Completed while waiting."}
}


def accepted_proof(
    response: Response, submitted: TokenValidation, location: str | None = None
) -> TokenValidationView:
    """The proof as it was asked for, to be watched at its own address or another one."""
    own = f"/v1/token-validations/{encode('val', submitted.id)}"
    prefer_wait.accepted(response, location=location or own)
    return TokenValidationView.model_validate(submitted)


async def completed_proof(
    context: ApiContext, response: Response, submitted: TokenValidation, wait: int
) -> TokenValidationView:
    """The proof once it is completed, or as it is when the client has waited long enough."""

    async def read() -> TokenValidation:
        async with context.database.reading() as session:
            tokens = TokenRepository(session, submitted.workspace_id)
            return await tokens.get_validation(submitted.id)

    def is_final(row: TokenValidation) -> bool:
        return row.status == "completed"

    proof = await prefer_wait.until(submitted, is_final, read, wait, context.draining)
    prefer_wait.held(response, waited=wait, is_final=is_final(proof))
    return TokenValidationView.model_validate(proof)
