"""Tests over real HTTP: the command, a reset connection, and Meta's SDK."""

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import httpx
import pytest
import uvicorn

from graph_simulator.app import create_app
from graph_simulator.truth import tell
from graph_simulator.world import World, build_world

from .surface import first, graph_id


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[str, World]]:
    """A real uvicorn server in a thread, and its world."""
    world = build_world(users=30)
    config = uvicorn.Config(create_app(world), log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", world
        server.should_exit = True
        thread.join(timeout=5)


def test_command_prints_its_address_and_refuses_a_busy_port() -> None:
    """Expect one line and an answer; then exit code 1 for the same port."""
    command = [sys.executable, "-m", "graph_simulator", "--partners", "2", "--seed", "5"]
    command += ["--relationships", "client,both", "--port"]
    with subprocess.Popen([*command, "0"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(
                r"Graph simulator on (http://127\.0\.0\.1:(\d+)) "
                r"\(truth: http://127\.0\.0\.1:\2/__simulator__/\)\n",
                line,
            )
            assert found is not None, line
            truth = httpx.get(f"{found[1]}/__simulator__/world").json()
            world = build_world(seed=5, partners=2, relationships=("client", "both"))
            assert [p["relationship"] for p in truth["partners"]] == ["client", "both"]
            assert truth["host"]["token"] == world.host_tokens["good"].text
            httpx.post(f"{found[1]}/__simulator__/reset")
            again = httpx.get(f"{found[1]}/__simulator__/world").json()
            assert [p["id"] for p in again["partners"]] == [p["id"] for p in truth["partners"]]
            busy = subprocess.run(
                [*command, found[2]], capture_output=True, text=True, check=False, timeout=20
            )
            assert busy.returncode == 1
            assert busy.stdout == ""
            assert busy.stderr.count("\n") == 1
            assert found[2] in busy.stderr
        finally:
            process.terminate()


def test_reset_fault_resets_the_connection(served: tuple[str, World]) -> None:
    """Expect a transport error and no answer; then the next call works."""
    url, world = served
    token = world.host_tokens["good"].text
    fault = {"match": {"edge": "app"}, "times": 1, "fault": {"reset": True}}
    httpx.post(f"{url}/__simulator__/faults", json=fault)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/v26.0/app", params={"access_token": token})
    assert httpx.get(f"{url}/v26.0/app", params={"access_token": token}).status_code == 200


def sdk_class(name: str) -> Any:
    """Import a class of the SDK by name, since the SDK has no types."""
    return getattr(import_module(f"facebook_business.adobjects.{name.lower()}"), name)


def sdk(url: str, token: str) -> Any:
    """Make a client of Meta's SDK for this URL."""
    session = import_module("facebook_business.session").FacebookSession
    at_the_simulator = type("AtTheSimulator", (session,), {"GRAPH": url})
    api: Any = import_module("facebook_business.api").FacebookAdsApi
    return api(at_the_simulator(access_token=token))


# The SDK knows only fields of nodes, and warns about fields that an edge adds to its rows.
@pytest.mark.filterwarnings("ignore:.* does not allow field:UserWarning")
def test_metas_sdk_reads_the_world(served: tuple[str, World]) -> None:
    """Read agencies, clients, people, system users, assigned users, pages, a batch, an error."""
    url, world = served
    truth = tell(world)
    host_api = sdk(url, truth["host"]["token"])
    host = sdk_class("Business")(truth["host"]["id"], api=host_api)
    agencies = host.get_agencies(fields=["id", "name"])
    assert agencies.total() == 3
    assert {one["id"] for one in agencies} == {
        p["id"] for p in truth["partners"] if p["relationship"] != "client"
    }
    assert {one["id"] for one in host.get_clients()} == {
        p["id"] for p in truth["partners"] if p["relationship"] != "agency"
    }

    partner = truth["partners"][0]
    api = sdk(url, partner["tokens"]["good"])
    business = sdk_class("Business")(partner["id"], api=api)
    people = business.get_business_users(fields=["id", "email", "role"], params={"limit": 10})
    assert {one["id"] for one in people} == {one["id"] for one in partner["people"]}
    roles = {one["id"]: one["role"] for one in business.get_system_users(fields=["id", "role"])}
    assert roles[partner["system_user"]["id"]] == "ADMIN"

    account = first(partner, "ad_account")
    node = sdk_class("AdAccount")(graph_id(account), api=api)
    users = node.get_assigned_users(
        fields=["id", "tasks"], params={"business": partner["id"], "limit": 2}
    )
    direct = [p for p in account["people"] if p["via"] == "direct"] + account["system_users"]
    assert {one["id"]: list(one["tasks"]) for one in users} == {p["id"]: p["tasks"] for p in direct}

    answers: list[Any] = []
    batch = api.new_batch()
    for path in (("me",), (graph_id(account),), ("unknown",)):
        batch.add("GET", path, success=answers.append, failure=answers.append)
    batch.execute()
    assert [answer.status() for answer in answers] == [200, 200, 400]
    assert json.loads(answers[0].body())["id"] == partner["system_user"]["id"]

    failure = import_module("facebook_business.exceptions").FacebookRequestError
    with pytest.raises(failure) as caught:
        sdk_class("Business")(partner["id"], api=host_api).get_business_users()
    assert (caught.value.api_error_code(), caught.value.api_error_subcode()) == (100, 33)
