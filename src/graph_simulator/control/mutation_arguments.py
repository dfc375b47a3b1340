"""Registration of mutations, and functions that read their arguments.

Each reader raises `MutationError` if the argument is missing or names nothing in the world.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graph_simulator.model.records import Asset, AssetGroup, Business, Member, Person, SystemUser
from graph_simulator.model.registry import Partner, World
from graph_simulator.model.tokens import Token

JsonObject = dict[str, Any]
MutationFunction = Callable[[World, JsonObject], JsonObject]


class MutationError(ValueError):
    """The mutation is unknown, or this world cannot carry it out."""


@dataclass(frozen=True, slots=True)
class Mutation:
    about: str
    run: MutationFunction


MUTATIONS: dict[str, Mutation] = {}


def mutation(about: str) -> Callable[[MutationFunction], MutationFunction]:
    """Register a function as the mutation of the same name. `about` describes its arguments."""

    def register(run: MutationFunction) -> MutationFunction:
        MUTATIONS[run.__name__] = Mutation(about, run)
        return run

    return register


def text(wanted: JsonObject, name: str) -> str:
    value = wanted.get(name)
    if not isinstance(value, str) or not value:
        raise MutationError(f"{name} is required, as text")
    return value


def tasks(wanted: JsonObject, name: str = "tasks") -> tuple[str, ...]:
    value = wanted.get(name)
    if not isinstance(value, list):
        raise MutationError(f"{name} is required, as a list of texts")
    return tuple(map(str, value))


def partner(world: World, wanted: JsonObject) -> Partner:
    found = world.partners.get(text(wanted, "partner"))
    if found is None:
        raise MutationError("partner must be the id of a partner business")
    return found


def business(world: World, wanted: JsonObject) -> Business:
    return world.businesses[partner(world, wanted).business_id]


def member(world: World, wanted: JsonObject, name: str = "person") -> Member:
    found = world.members.get(text(wanted, name))
    if found is None:
        raise MutationError(f"{name} must be the id of a person or a system user")
    return found


def person(world: World, wanted: JsonObject) -> Person:
    found = member(world, wanted)
    if not isinstance(found, Person):
        raise MutationError("person must be the id of a person")
    return found


def system_user(world: World, wanted: JsonObject) -> SystemUser:
    """Return the named system user; by default, the partner's admin system user."""
    wanted = {"system_user": partner(world, wanted).system_user_id, **wanted}
    found = member(world, wanted, "system_user")
    if not isinstance(found, SystemUser):
        raise MutationError("system_user must be the id of a system user")
    return found


def asset(world: World, wanted: JsonObject) -> Asset:
    return asset_by_id(world, text(wanted, "asset"))


def asset_by_id(world: World, asset_id: str) -> Asset:
    found = world.assets.get(asset_id.removeprefix("act_"))
    if found is None:
        raise MutationError("asset must be the id of an asset, with or without act_")
    return found


def group(world: World, wanted: JsonObject) -> AssetGroup:
    found = world.groups.get(text(wanted, "group"))
    if found is None:
        raise MutationError("group must be the id of a business asset group")
    return found


def token(world: World, wanted: JsonObject) -> Token:
    """Find a token by its text, or by partner (an id or `host`) and kind (`good` by default)."""
    if "token" in wanted:
        found = world.tokens.get(text(wanted, "token"))
    elif wanted.get("partner") == "host":
        found = world.host_tokens.get(str(wanted.get("kind", "good")))
    else:
        found = partner(world, wanted).tokens.get(str(wanted.get("kind", "good")))
    if found is None:
        raise MutationError("no token has this text, or this partner and kind")
    return found
