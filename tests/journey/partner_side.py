"""Client of the partner's admin, who has only a link."""

from typing import Any

import httpx

from tests.journey.caller import Caller
from tests.journey.meta import Json
from tests.journey.stacks import Stack

CURRENT = "/v1/token-requests/current"


class PartnerSide:
    """Requests by the holder of a code; every response is kept with those of the product."""

    def __init__(self, stack: Stack, made: Json) -> None:
        self.made = made
        self.url = str(made["url"])
        self.code = str(made["code"])
        self._stack = stack

    def ask(self, method: str, path: str = "", **options: Any) -> httpx.Response:
        """Send any request below `/v1/token-requests/current`."""
        headers = {"Authorization": f"Bearer {self.code}", **options.pop("headers", {})}
        url = f"{self._stack.api.url}{CURRENT}{path}"
        with httpx.Client(trust_env=False, timeout=60) as http:
            answer = http.request(method, url, headers=headers, **options)
        self._stack.kept += [str(answer.headers.multi_items()).encode(), answer.content]
        return answer

    def seen(self) -> Json:
        """Return what the link shows now."""
        answer = self.ask("GET")
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def hand_over(self, body: Json) -> Json:
        """Hand over a token, and return the validation."""
        answer = self.ask("PUT", "/token", json=body, headers={"Prefer": "wait=30"})
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found


def link_for(stack: Stack, caller: Caller, partner: Json) -> PartnerSide:
    """Create a new link. Its response, which has the code, is not kept."""
    made = httpx.post(
        f"{stack.api.url}/v1/partners/{partner['id']}/token-requests",
        json={"expires_in_seconds": 3600},
        headers={"Authorization": f"Bearer {caller.api_key}"},
        trust_env=False,
    )
    assert made.status_code == 201, made.text
    return PartnerSide(stack, made.json())


def seen_by_creator(caller: Caller, side: PartnerSide) -> Json:
    """Return the token request as its creator sees it."""
    return caller.get(f"/v1/token-requests/{side.made['id']}")
