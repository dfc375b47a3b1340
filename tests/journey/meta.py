"""Client of the simulator's control endpoints."""

from collections.abc import Mapping
from typing import Any

import httpx

Json = dict[str, Any]


class Meta:
    """Control endpoints of one running simulator."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=f"{url}/__simulator__", trust_env=False, timeout=30)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def world(self) -> Json:
        """Return the whole current state of the simulated Meta."""
        return self._json(self._http.get("/world"))

    def host(self) -> Json:
        """Return our own business."""
        host: Json = self.world()["host"]
        return host

    def partners(self) -> dict[str, Json]:
        """Return every partner by its id in Meta."""
        return {partner["id"]: partner for partner in self.world()["partners"]}

    def partner(self, business_id: str) -> Json:
        """Return one partner as it is now."""
        return self.partners()[business_id]

    def token(self, business_id: str, kind: str = "good") -> str:
        """Return the token that a partner's admin would paste."""
        return str(self.partner(business_id)["tokens"][kind])

    def tokens(self) -> set[str]:
        """Return every token of our business and of each partner, good and bad."""
        world = self.world()
        owners = [world["host"], *world["partners"]]
        return {str(token) for owner in owners for token in owner["tokens"].values()}

    def reset(self) -> None:
        """Reset the world to its initial state."""
        self._json(self._http.post("/reset"))

    def mutate(self, op: str, **arguments: Any) -> Json:
        """Change the world."""
        return self._json(self._http.post("/mutations", json={"op": op, **arguments}))

    def fault(
        self,
        match: Mapping[str, str],
        fault: Mapping[str, Any],
        *,
        after: int = 0,
        times: int | None = None,
    ) -> None:
        """Break the calls that match, after `after` good ones and for `times` calls."""
        rule: Json = {"match": dict(match), "fault": dict(fault), "after": after}
        if times is not None:
            rule["times"] = times
        self._json(self._http.post("/faults", json=rule), 201)

    def heal(self) -> None:
        """Remove every fault."""
        assert self._http.delete("/faults").status_code == 204

    def switch(self, **values: Any) -> None:
        """Set some of the simulator's switches."""
        self._json(self._http.patch("/switches", json=values))

    def latency(self, seconds: float) -> None:
        """Delay every answer by at least this many seconds."""
        self.switch(latency_seconds=seconds)

    def down(self, is_down: bool) -> None:
        """Make Meta unreachable, or reachable again."""
        self._json(self._http.post("/down", json={"down": is_down}))

    def calls(self) -> Json:
        """Return the calls that were counted since the last reset of the counters."""
        return self._json(self._http.get("/calls"))

    def forget_calls(self) -> None:
        """Reset the counters of calls."""
        assert self._http.delete("/calls").status_code == 204

    def outside_published(self) -> list[Json]:
        """Return the requests since the start that Meta does not document."""
        found: list[Json] = self._http.get("/outside-published").raise_for_status().json()
        return found

    def _json(self, answer: httpx.Response, expected: int = 200) -> Json:
        assert answer.status_code == expected, answer.text
        document: Json = answer.json()
        return document
