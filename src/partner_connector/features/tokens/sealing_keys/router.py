"""`/v1/sealing-keys`: the public keys to seal a token for."""

from fastapi import APIRouter

from partner_connector.features.tokens.schemas import SealingKeyList, SealingKeyView
from partner_connector.sealing.keyring import ALGORITHM
from partner_connector.sealing.public import SealingKey
from partner_connector.web.conditional import KnownTagsDep
from partner_connector.web.dependencies import AnyCaller, ContextDep

router = APIRouter(prefix="/v1/sealing-keys", tags=["Sealing"])


@router.get("", operation_id="listSealingKeys", summary="List sealing keys")
async def list_sealing_keys(_caller: AnyCaller, context: ContextDep) -> SealingKeyList:
    """Every key that a token may be sealed for: the current one, and those that were current until
    a short while ago.
    """
    items = [key_view(key) for key in context.keyring.accepted]
    return SealingKeyList(items=items, next_cursor=None)


@router.get("/current", operation_id="getCurrentSealingKey", summary="Get the current sealing key")
async def get_current_sealing_key(
    _caller: AnyCaller, context: ContextDep, known: KnownTagsDep
) -> SealingKeyView:
    """Seal for this one, with `crypto_box_seal` of any libsodium."""
    return known.answer(key_view(context.keyring.current))


def key_view(key: SealingKey) -> SealingKeyView:
    """A public key as clients need it."""
    return SealingKeyView.of(key, algorithm=ALGORITHM)
