"""The graph simulator with one agency, whose assignments can be switched on and off together.

`crowded` makes the uneven world of a big agency: one asset in twenty has all people, one in five
has a quarter of them, and each other asset has a twentieth. Without `crowded` the world is as the
simulator makes it, where most people are assigned to one to three assets.
"""

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.serving import served
from graph_simulator.app import create_app
from graph_simulator.model.records import Asset, Member, Tasks
from graph_simulator.model.registry import World
from graph_simulator.world import build_world

Message = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class Meta:
    """A running simulator: its URL, ids and tokens."""

    url: str
    host_id: str
    host_token: str
    partner_id: str
    partner_token: str
    app_secret: str

    def latency(self, seconds: float) -> None:
        """Set the least time of every answer, in seconds."""
        path = f"{self.url}/__simulator__/switches"
        httpx.patch(path, json={"latency_seconds": seconds}, trust_env=False).raise_for_status()

    def show_people(self, shown: bool) -> None:
        """Switch the assignments of people on or off. System users keep theirs."""
        show = f"{self.url}/people"
        httpx.post(show, params={"shown": int(shown)}, trust_env=False).raise_for_status()


class SimulatorWithPeopleSwitch:
    """The simulator's ASGI app with the extra path `/people`, which switches assignments."""

    def __init__(self, assets: int, users: int, crowded: bool) -> None:
        self._world = build_world(partners=1, assets=assets, users=users, relationships=("agency",))
        self._simulator = create_app(self._world)
        assignments = _crowded_assignments if crowded else _generated_assignments
        self._assignments = list(assignments(self._world))
        self._show(shown=True)

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["path"] != "/people":
            await self._simulator(scope, receive, send)
            return
        self._show(shown=scope["query_string"] == b"shown=1")
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    def _show(self, *, shown: bool) -> None:
        for member, asset, tasks in self._assignments:
            if shown:
                self._world.assign(member, asset, tasks)
            else:
                self._world.unassign(member, asset)


@contextmanager
def simulated_meta(assets: int, users: int, *, crowded: bool) -> Iterator[Meta]:
    """Run a simulator in a separate process."""
    with served(SimulatorWithPeopleSwitch, assets, users, crowded) as url:
        truth = httpx.get(f"{url}/__simulator__/world", trust_env=False, timeout=60).json()
        [partner] = truth["partners"]
        yield Meta(
            url=url,
            host_id=truth["host"]["id"],
            host_token=truth["host"]["token"],
            partner_id=partner["id"],
            partner_token=partner["tokens"]["good"],
            app_secret=truth["app"]["secret"],
        )


Assignment = tuple[Member, Asset, Tasks]


def _generated_assignments(world: World) -> Iterator[Assignment]:
    [partner] = world.partners.values()
    shared = {asset.id: asset for asset in world.shared_with(world.businesses[partner.business_id])}
    for person in world.businesses[partner.business_id].people.values():
        for asset_id, tasks in person.assigned.items():
            if asset_id in shared:
                yield person, shared[asset_id], tasks


def _crowded_assignments(world: World) -> Iterator[Assignment]:
    [partner] = world.partners.values()
    business = world.businesses[partner.business_id]
    people = [person for person in business.people.values() if person.assigned]
    for place, asset in enumerate(world.shared_with(business)):
        share = 1 if place % 20 == 0 else 4 if place % 5 == 1 else 20
        for at, person in enumerate(people):
            if (at + place) % share == 0:
                yield person, asset, asset.levels[at % len(asset.levels)]
