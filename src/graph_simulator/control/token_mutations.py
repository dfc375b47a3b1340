"""Tokens are issued, narrowed, expire and die. `token`, or `partner` (or `host`) with `kind`."""

from graph_simulator.control import mutation_book as book
from graph_simulator.control.mutation_book import MutationError, Wanted, mutation
from graph_simulator.model.registry import World
from graph_simulator.model.token_office import REVOKED, first_of_each_kind
from graph_simulator.model.token_office import new_token as issue
from graph_simulator.model.vocabulary import REQUIRED_SCOPES


@mutation("token, subcode? (460; 458, 459, 492 …): dead from now on")
def revoke_token(world: World, wanted: Wanted) -> Wanted:
    token = book.token(world, wanted)
    token.revoked = int(wanted.get("subcode", REVOKED))
    return {"label": token.label, "subcode": token.revoked}


@mutation("token, expires_at? (unix time; one second ago)")
def expire_token(world: World, wanted: Wanted) -> Wanted:
    token = book.token(world, wanted)
    token.expires_at = int(wanted.get("expires_at", world.now - 1))
    return {"label": token.label, "expires_at": token.expires_at}


@mutation("token, targets? ({scope: [ids]}; the first shared asset of each kind): granular scopes")
def narrow_scopes(world: World, wanted: Wanted) -> Wanted:
    token = book.token(world, wanted)
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


@mutation("token, scope")
def remove_scope(world: World, wanted: Wanted) -> Wanted:
    token, scope = book.token(world, wanted), book.text(wanted, "scope")
    if scope not in token.scopes:
        raise MutationError("the token does not have this scope")
    token.scopes = tuple(one for one in token.scopes if one != scope)
    return {"label": token.label, "scopes": list(token.scopes)}


@mutation("token: alive, never expiring, all scopes, not narrowed")
def restore_token(world: World, wanted: Wanted) -> Wanted:
    token = book.token(world, wanted)
    token.revoked, token.expires_at, token.data_access_expires_at = 0, 0, 0
    token.scopes, token.targets = REQUIRED_SCOPES, {}
    return {"label": token.label}


@mutation("partner, kind? (good): a new token of the admin system user under this name → token")
def new_token(world: World, wanted: Wanted) -> Wanted:
    partner = book.partner(world, wanted)
    kind = str(wanted.get("kind", "good"))
    member = world.members.get(partner.system_user_id)
    if member is None:
        raise MutationError("this partner has no admin system user any more")
    token = issue(world, f"{partner.business_id}/{kind}", member)
    partner.tokens[kind] = token
    return {"partner": partner.business_id, "kind": kind, "token": token.text}
