"""Mutations of tokens: named by `token`, or by `partner` (an id or `host`) and `kind`."""

from graph_simulator.control import mutation_arguments as arguments
from graph_simulator.control.mutation_arguments import JsonObject, MutationError, mutation
from graph_simulator.model.registry import World
from graph_simulator.model.token_issuing import REVOKED, first_of_each_kind
from graph_simulator.model.token_issuing import new_token as issue
from graph_simulator.model.vocabulary import REQUIRED_SCOPES


@mutation("token, subcode? (default 460; also 458, 459, 492 …): is revoked")
def revoke_token(world: World, wanted: JsonObject) -> JsonObject:
    token = arguments.token(world, wanted)
    token.revoked = int(wanted.get("subcode", REVOKED))
    return {"label": token.label, "subcode": token.revoked}


@mutation("token, expires_at? (unix time; default: one second ago): expires")
def expire_token(world: World, wanted: JsonObject) -> JsonObject:
    token = arguments.token(world, wanted)
    token.expires_at = int(wanted.get("expires_at", world.now - 1))
    return {"label": token.label, "expires_at": token.expires_at}


@mutation(
    "token, targets? ({scope: [ids]}; default: the first shared asset of each kind): its scopes "
    "cover these assets only"
)
def narrow_scopes(world: World, wanted: JsonObject) -> JsonObject:
    token = arguments.token(world, wanted)
    targets = wanted.get("targets")
    if targets is None:
        business = world.businesses[token.business_id]
        token.targets = first_of_each_kind(world.shared_with(business))
    else:
        token.targets = {
            str(scope): tuple(str(one).removeprefix("act_") for one in ids)
            for scope, ids in targets.items()
        }
    return {"label": token.label, "targets": {s: list(ids) for s, ids in token.targets.items()}}


@mutation("token, scope: loses this scope")
def remove_scope(world: World, wanted: JsonObject) -> JsonObject:
    token, scope = arguments.token(world, wanted), arguments.text(wanted, "scope")
    if scope not in token.scopes:
        raise MutationError("the token does not have this scope")
    token.scopes = tuple(one for one in token.scopes if one != scope)
    return {"label": token.label, "scopes": list(token.scopes)}


@mutation("token: is valid again, never expires, has all scopes for all assets")
def restore_token(world: World, wanted: JsonObject) -> JsonObject:
    token = arguments.token(world, wanted)
    token.revoked, token.expires_at, token.data_access_expires_at = 0, 0, 0
    token.scopes, token.targets = REQUIRED_SCOPES, {}
    return {"label": token.label}


@mutation("partner, kind? (good): issues a token of the admin system user as this kind → token")
def new_token(world: World, wanted: JsonObject) -> JsonObject:
    partner = arguments.partner(world, wanted)
    kind = str(wanted.get("kind", "good"))
    member = world.members.get(partner.system_user_id)
    if member is None:
        raise MutationError("the admin system user of this partner was removed")
    token = issue(world, f"{partner.business_id}/{kind}", member)
    partner.tokens[kind] = token
    return {"partner": partner.business_id, "kind": kind, "token": token.text}
