"""Authentication of a call by its token and its appsecret_proof, and `debug_token`.

Facts: `docs/reference/graph-facts.md#debug-token`, `#token-owner` and `#appsecret-proof`.
"""

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any

from graph_simulator.graph import errors
from graph_simulator.graph.access import Viewer, viewer_of
from graph_simulator.graph.errors import GraphError
from graph_simulator.graph.schema import Params
from graph_simulator.model.registry import World
from graph_simulator.model.tokens import Token, is_parsable
from graph_simulator.model.vocabulary import APP_NAME
from graph_simulator.switches import Switches

TIMED_APPSECRET_PROOF_LIFETIME = 300
OWNER_REMOVED = 460


def authenticate(world: World, switches: Switches, text: str, params: Params, now: float) -> Viewer:
    """Return the viewer of a valid token.

    Raises `GraphError` 2500 without a token, 190 for an invalid token, 100 for a missing or wrong
    appsecret_proof.
    """
    token = find_token(world, text)
    if isinstance(token, GraphError):
        raise token
    refusal = token_error(world, token, now)
    if refusal is not None:
        raise refusal
    if token.type == "APP" and switches.app_tokens_refused:
        raise errors.unparsable_token()
    if token.type != "APP":
        check_appsecret_proof(
            world.apps[token.app_id].secret, token, params, switches.appsecret_proof, now
        )
    return viewer_of(world, switches, token)


def find_token(world: World, text: str) -> Token | GraphError:
    if not text:
        return errors.no_token()
    if "|" in text:
        app_id, _, secret = text.partition("|")
        app = world.apps.get(app_id)
        if app is None or not hmac.compare_digest(app.secret.encode(), secret.encode()):
            return errors.unparsable_token()
        return Token(text, f"app:{app_id}", "APP", app_id, app_id, "", (), world.now)
    known = world.tokens.get(text)
    if known is not None:
        return known
    return errors.unknown_token() if is_parsable(text) else errors.unparsable_token()


def token_error(world: World, token: Token, now: float) -> GraphError | None:
    """Return why a token is invalid, or None. A Page token is as valid as its origin token."""
    if token.revoked:
        return errors.revoked_token(token.revoked)
    if token.expired(now):
        when = datetime.fromtimestamp(token.expires_at, UTC)
        return errors.expired_token(f"{when:%A, %d-%b-%y %H:%M:%S} UTC")
    if not token.origin_text and _owner_is_removed(world, token):
        return errors.revoked_token(OWNER_REMOVED)
    if token.origin_text:
        return token_error(world, world.tokens[token.origin_text], now)
    return None


def _owner_is_removed(world: World, token: Token) -> bool:
    """Return whether the system user or person of the token was removed."""
    return token.type != "APP" and token.owner_id not in (
        world.accounts if token.type == "USER" else world.members
    )


# appsecret_proof


def check_appsecret_proof(secret: str, token: Token, params: Params, mode: str, now: float) -> None:
    sent = params.get("appsecret_proof")
    if mode == "off":
        return
    if sent is None:
        if mode == "required":
            raise errors.appsecret_proof_missing()
        return
    stamp = params.get("appsecret_time")
    if mode == "plain" or (mode != "timed" and stamp is None):
        expected = _sign(secret, token.text)
    else:
        if (
            stamp is None
            or not stamp.isdigit()
            or now - int(stamp) > TIMED_APPSECRET_PROOF_LIFETIME
        ):
            raise errors.appsecret_proof_wrong()
        expected = _sign(secret, f"{token.text}|{stamp}")
    if not hmac.compare_digest(expected.encode(), sent.encode()):
        raise errors.appsecret_proof_wrong()


def _sign(secret: str, message: str) -> str:
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


# debug_token


def debug_token(
    world: World, switches: Switches, viewer: Viewer, params: Params, now: float
) -> dict[str, Any]:
    """Describe the input token (`#debug-token`). An invalid token is described, not refused.

    Raises `GraphError` 100 without an input token, or if the caller may not inspect tokens.
    """
    text = params.get("input_token")
    if not text:
        raise errors.missing_parameter("input_token")
    itself = viewer.token.text == text and switches.debug_token_self_inspection
    if viewer.token.type != "APP" and not itself:
        raise errors.bad_parameter(
            "You must provide an app access token, or a user access token that is an owner or "
            "developer of the app"
        )
    token = find_token(world, text)
    if isinstance(token, GraphError):
        return _invalid_result(token)
    other_app = token.app_id != viewer.token.app_id
    if other_app and switches.debug_other_app == "refused":
        message = "(#100) The App_id in the input_token did not match the Viewing App"
        return _invalid_result(GraphError(100, message))
    return {"data": _description(world, token, now)}


def _invalid_result(error: GraphError) -> dict[str, Any]:
    return {"data": {"error": _summary_of(error), "is_valid": False, "scopes": []}}


def _summary_of(error: GraphError) -> dict[str, Any]:
    brief: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.subcode is not None:
        brief["subcode"] = error.subcode  # not error_subcode here
    return brief


def _description(world: World, token: Token, now: float) -> dict[str, Any]:
    app = world.apps[token.app_id]
    error = token_error(world, token, now)
    data: dict[str, Any] = {
        "app_id": token.app_id,
        "type": token.type,
        "application": app.name or APP_NAME,
        "data_access_expires_at": token.data_access_expires_at,
    }
    if error is not None:
        data["error"] = _summary_of(error)
    data |= {
        "expires_at": token.expires_at,
        "is_valid": error is None,
        "issued_at": token.issued_at,
        "scopes": list(token.scopes),
        "granular_scopes": [
            {"scope": scope, "target_ids": list(token.targets[scope])}
            if scope in token.targets
            else {"scope": scope}
            for scope in token.scopes
        ],
    }
    if token.type == "PAGE":
        origin = world.tokens[token.origin_text]
        return {**data, "profile_id": token.owner_id, "user_id": origin.owner_id}
    return data if token.type == "APP" else {**data, "user_id": token.owner_id}
