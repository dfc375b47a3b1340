"""Test client of a simulator in this process."""

import json
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass
class Surface:
    """Client of the Graph API and the control surface. `token` defaults to the host's token."""

    http: httpx.AsyncClient
    truth: dict[str, Any]

    @property
    def host(self) -> dict[str, Any]:
        return dict(self.truth["host"])

    @property
    def app_token(self) -> str:
        return f"{self.truth['app']['id']}|{self.truth['app']['secret']}"

    def partner(self, relationship: str = "agency") -> dict[str, Any]:
        return next(p for p in self.truth["partners"] if p["relationship"] == relationship)

    async def get(self, path: str, token: str | None = None, **params: Any) -> httpx.Response:
        text = self.host["token"] if token is None else token
        headers = {"Authorization": f"Bearer {text}"} if text else {}
        return await self.http.get(f"/v26.0/{path}", params=params, headers=headers)

    async def read(self, path: str, token: str | None = None, **params: Any) -> dict[str, Any]:
        answer = await self.get(path, token, **params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def rows(self, path: str, token: str | None = None, **params: Any) -> list[Any]:
        return list((await self.read(path, token, **params))["data"])

    async def error(self, path: str, token: str | None = None, **params: Any) -> dict[str, Any]:
        return dict((await self.get(path, token, **params)).json()["error"])

    async def batch(self, token: str, *urls: str, **form: str) -> list[Any]:
        operations = [{"method": "GET", "relative_url": url} for url in urls]
        data = {"access_token": token, "batch": json.dumps(operations), **form}
        answer = await self.http.post("/v26.0/", data=data)
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    async def switch(self, **values: Any) -> None:
        answer = await self.http.patch("/__simulator__/switches", json=values)
        assert answer.status_code == 200, answer.text

    async def fault(self, fault: dict[str, Any], **rule: Any) -> str:
        answer = await self.http.post("/__simulator__/faults", json={"fault": fault, **rule})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def mutate(self, op: str, **arguments: Any) -> dict[str, Any]:
        answer = await self.http.post("/__simulator__/mutations", json={"op": op, **arguments})
        assert answer.status_code == 200, answer.text
        self.truth = (await self.http.get("/__simulator__/world")).json()
        return dict(answer.json())

    async def calls(self) -> dict[str, Any]:
        return dict((await self.http.get("/__simulator__/calls")).json())


def graph_id(asset: dict[str, Any]) -> str:
    return f"act_{asset['id']}" if asset["type"] == "ad_account" else str(asset["id"])


def first(partner: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(asset for asset in partner["shared_assets"] if asset["type"] == kind)
