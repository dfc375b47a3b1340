"""Turn the token of a call into a viewer, or refuse it; prove it; inspect it (REFERENCE 4, 9)."""

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any

from graph_simulator.graph import errors
from graph_simulator.graph.access import Viewer, viewer_of
from graph_simulator.graph.errors import GraphError
from graph_simulator.graph.schema import Params
from graph_simulator.model.registry import World
from graph_simulator.model.tokens import Token, looks_parsable
from graph_simulator.model.vocabulary import APP_NAME
from graph_simulator.switches import Switches

TIMED_PROOF_LIFETIME = 300
OWNER_GONE = 460


def authenticate(world: World, switches: Switches, text: str, params: Params, now: float) -> Viewer:
    """The viewer of a live token that carries the proof the app asks for."""
    token = find_token(world, text)
    if isinstance(token, GraphError):
        raise token
    refusal = death_of(world, token, now)
    if refusal is not None:
        raise refusal
    if token.type == "APP" and switches.app_tokens_refused:
        raise errors.unparsable_token()
    if token.type != "APP":
        check_proof(world.apps[token.app_id].secret, token, params, switches.appsecret_proof, now)
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
    return errors.unknown_token() if looks_parsable(text) else errors.unparsable_token()


def death_of(world: World, token: Token, now: float) -> GraphError | None:
    """Why a token is dead. A Page token dies with the token it was made from."""
    if token.revoked:
        return errors.revoked_token(token.revoked)
    if token.expired(now):
        when = datetime.fromtimestamp(token.expires_at, UTC)
        return errors.expired_token(f"{when:%A, %d-%b-%y %H:%M:%S} UTC")
    if not token.behind and _owner_is_gone(world, token):
        return errors.revoked_token(OWNER_GONE)
    if token.behind:
        return death_of(world, world.tokens[token.behind], now)
    return None


def _owner_is_gone(world: World, token: Token) -> bool:
    """A deleted system user, or a person who left, takes the token along."""
    return token.type != "APP" and token.owner_id not in (
        world.accounts if token.type == "USER" else world.members
    )


# appsecret_proof


def check_proof(secret: str, token: Token, params: Params, mode: str, now: float) -> None:
    sent = params.get("appsecret_proof")
    if mode == "off":
        return
    if sent is None:
        if mode == "required":
            raise errors.proof_missing()
        return
    stamp = params.get("appsecret_time")
    if mode == "plain" or (mode != "timed" and stamp is None):
        expected = _sign(secret, token.text)
    else:
        if stamp is None or not stamp.isdigit() or now - int(stamp) > TIMED_PROOF_LIFETIME:
            raise errors.proof_wrong()
        expected = _sign(secret, f"{token.text}|{stamp}")
    if not hmac.compare_digest(expected.encode(), sent.encode()):
        raise errors.proof_wrong()


def _sign(secret: str, message: str) -> str:
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


# debug_token


def debug_token(
    world: World, switches: Switches, viewer: Viewer, params: Params, now: float
) -> dict[str, Any]:
    """Always HTTP 200 for a bad input token: the verdict is in the body (REFERENCE 4.1)."""
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
        return _verdict_only(token)
    other_app = token.app_id != viewer.token.app_id
    if other_app and switches.debug_other_app == "refused":
        message = "(#100) The App_id in the input_token did not match the Viewing App"
        return _verdict_only(GraphError(100, message))
    return {"data": _description(world, token, now)}


def _verdict_only(error: GraphError) -> dict[str, Any]:
    return {"data": {"error": _brief(error), "is_valid": False, "scopes": []}}


def _brief(error: GraphError) -> dict[str, Any]:
    brief: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.subcode is not None:
        brief["subcode"] = error.subcode  # not error_subcode here
    return brief


def _description(world: World, token: Token, now: float) -> dict[str, Any]:
    app = world.apps[token.app_id]
    dead = death_of(world, token, now)
    data: dict[str, Any] = {
        "app_id": token.app_id,
        "type": token.type,
        "application": app.name or APP_NAME,
        "data_access_expires_at": token.data_access_expires_at,
    }
    if dead is not None:
        data["error"] = _brief(dead)
    data |= {
        "expires_at": token.expires_at,
        "is_valid": dead is None,
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
        origin = world.tokens[token.behind]
        return {**data, "profile_id": token.owner_id, "user_id": origin.owner_id}
    return data if token.type == "APP" else {**data, "user_id": token.owner_id}
