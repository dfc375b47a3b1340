"""`/v1/sealing-keys`: public keys that clients seal tokens with."""

from fastapi import APIRouter

from partner_connector.features.tokens.schemas import SealingKeyList, SealingKeyView
from partner_connector.sealing.keyring import ALGORITHM
from partner_connector.sealing.public import SealingKey
from partner_connector.web.conditional import KnownTagsDep
from partner_connector.web.dependencies import AnyCaller, ContextDep

router = APIRouter(prefix="/v1/sealing-keys", tags=["Sealing"])


@router.get("", operation_id="listSealingKeys", summary="List sealing keys")
async def list_sealing_keys(_caller: AnyCaller, context: ContextDep) -> SealingKeyList:
    """Return the sealing keys that are accepted now: the current key, and retiring keys until they
    expire. Use it to see when a key that you stored stops being accepted.
    """
    items = [key_view(key) for key in context.keyring.accepted]
    return SealingKeyList(items=items, next_cursor=None)


@router.get("/current", operation_id="getCurrentSealingKey", summary="Get the current sealing key")
async def get_current_sealing_key(
    _caller: AnyCaller, context: ContextDep, known: KnownTagsDep
) -> SealingKeyView:
    """Return the current sealing key. Seal tokens for it with `crypto_box_seal` of any libsodium
    library, and send the sealed box as `sealed_token` together with the `key_id`.
    """
    return known.answer(key_view(context.keyring.current))


def key_view(key: SealingKey) -> SealingKeyView:
    """Return a public sealing key as the API shows it."""
    return SealingKeyView.of(key, algorithm=ALGORITHM)
