"""Responses about a token validation: accepted at once, or completed while the client waits."""

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


def accepted_validation(
    response: Response, submitted: TokenValidation, location: str | None = None
) -> TokenValidationView:
    """Return the queued validation; set the headers of a 202 with `location` or its own path."""
    own = f"/v1/token-validations/{encode('val', submitted.id)}"
    prefer_wait.set_accepted_headers(response, location=location or own)
    return TokenValidationView.model_validate(submitted)


async def completed_validation(
    context: ApiContext, response: Response, submitted: TokenValidation, wait: int
) -> TokenValidationView:
    """Return the validation once it is completed, or as it is after `wait` seconds."""

    async def read() -> TokenValidation:
        async with context.database.reading() as session:
            tokens = TokenRepository(session, submitted.workspace_id)
            return await tokens.get_validation(submitted.id)

    def is_final(row: TokenValidation) -> bool:
        return row.status == "completed"

    validation = await prefer_wait.wait_until_final(
        submitted, is_final, read, wait, context.stopping
    )
    prefer_wait.set_waited_headers(response, waited=wait, is_final=is_final(validation))
    return TokenValidationView.model_validate(validation)
