"""The book of mutations: how one is registered, and how its arguments are read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graph_simulator.model.records import Asset, AssetGroup, Business, Member, Person, SystemUser
from graph_simulator.model.registry import Partner, World
from graph_simulator.model.tokens import Token

Wanted = dict[str, Any]
Act = Callable[[World, Wanted], Wanted]


class MutationError(ValueError):
    """A change the world does not know, or cannot make."""


@dataclass(frozen=True, slots=True)
class Mutation:
    about: str
    act: Act


MUTATIONS: dict[str, Mutation] = {}


def mutation(about: str) -> Callable[[Act], Act]:
    """Register a function under its own name."""

    def register(act: Act) -> Act:
        MUTATIONS[act.__name__] = Mutation(about, act)
        return act

    return register


def text(wanted: Wanted, name: str) -> str:
    value = wanted.get(name)
    if not isinstance(value, str) or not value:
        raise MutationError(f"{name} is needed, as text")
    return value


def tasks(wanted: Wanted, name: str = "tasks") -> tuple[str, ...]:
    value = wanted.get(name)
    if not isinstance(value, list):
        raise MutationError(f"{name} is needed, as a list of texts")
    return tuple(map(str, value))


def partner(world: World, wanted: Wanted) -> Partner:
    found = world.partners.get(text(wanted, "partner"))
    if found is None:
        raise MutationError("partner is the id of a partner business")
    return found


def business(world: World, wanted: Wanted) -> Business:
    return world.businesses[partner(world, wanted).business_id]


def member(world: World, wanted: Wanted, name: str = "person") -> Member:
    found = world.members.get(text(wanted, name))
    if found is None:
        raise MutationError(f"{name} is the id of a person or a system user")
    return found


def person(world: World, wanted: Wanted) -> Person:
    found = member(world, wanted)
    if not isinstance(found, Person):
        raise MutationError("person is the id of a person")
    return found


def system_user(world: World, wanted: Wanted) -> SystemUser:
    """The one named, else the partner's admin."""
    wanted = {"system_user": partner(world, wanted).system_user_id, **wanted}
    found = member(world, wanted, "system_user")
    if not isinstance(found, SystemUser):
        raise MutationError("system_user is the id of a system user")
    return found


def asset(world: World, wanted: Wanted) -> Asset:
    return asset_by_id(world, text(wanted, "asset"))


def asset_by_id(world: World, asset_id: str) -> Asset:
    found = world.assets.get(asset_id.removeprefix("act_"))
    if found is None:
        raise MutationError("asset is the id of an asset, with or without act_")
    return found


def group(world: World, wanted: Wanted) -> AssetGroup:
    found = world.groups.get(text(wanted, "group"))
    if found is None:
        raise MutationError("group is the id of a business asset group")
    return found


def token(world: World, wanted: Wanted) -> Token:
    """By its text, or by partner (an id, or `host`) and kind (`good` unless said otherwise)."""
    if "token" in wanted:
        found = world.tokens.get(text(wanted, "token"))
    elif wanted.get("partner") == "host":
        found = world.host_tokens.get(str(wanted.get("kind", "good")))
    else:
        found = partner(world, wanted).tokens.get(str(wanted.get("kind", "good")))
    if found is None:
        raise MutationError("there is no such token")
    return found
