"""The programs of docs/webhooks.md, as they stand there: both verify what we send."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from partner_connector.cli.serving import listen
from partner_connector.clock import now
from partner_connector.features.webhooks.event_types import EventType
from partner_connector.settings import Settings
from partner_connector.worker.context import Workshop
from partner_connector.worker.delivery.deliverer import Deliverer
from partner_connector.worker.delivery.sender import Sender

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
NODE = str(Path(sys.executable).with_name("node"))
LANGUAGES = {"python": (sys.executable, "receive.py"), "javascript": (NODE, "receive.mjs")}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Messages may go to this machine."""
    return settings.model_copy(update={"webhook_allow_loopback": True})


def test_every_type_is_on_the_page() -> None:
    """And no other."""
    table = re.findall(r"`([a-z_]+\.[a-z_]+)`", PAGE.split("## What is told")[1].split("```")[0])
    assert sorted(table) == sorted(EventType)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("language", LANGUAGES)
async def test_what_the_page_shows_works(
    api: httpx.AsyncClient, shop: Workshop, tmp_path: Path, language: str
) -> None:
    """A message of ours is believed, also while the secret is replaced; one of somebody else's
    with another secret is not.
    """
    (program,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    interpreter, name = LANGUAGES[language]
    (tmp_path / name).write_text(program, encoding="utf-8")
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    body = {"url": f"http://127.0.0.1:{port}/", "event_types": ["partner.listed"]}
    made = (await api.post("/v1/webhook-endpoints", json=body)).json()
    path = f"/v1/webhook-endpoints/{made['id']}"
    environment = os.environ | {"PORT": str(port), "SIGNING_SECRET": made["signing_secret"]}
    log = tmp_path / "receiver.log"
    sender = Sender(allow_loopback=True)
    deliverer = Deliverer(shop, sender)
    statuses = []
    with started([interpreter, name], environment, tmp_path, log):
        wait_for_answer(port)
        for _ in range(3):
            sent = await api.post(f"{path}/test")
            await deliverer.look(now())
            await deliverer.rest()
            statuses.append((await api.get(sent.headers["Location"])).json())
            await api.post(f"{path}/rotate-secret")
    await sender.close()
    assert [each["last_status_code"] for each in statuses] == [204, 204, 401]
    assert log.read_text().splitlines() == [
        f"{each['event_id']} webhook_endpoint.test" for each in statuses[:2]
    ]


@contextmanager
def started(
    command: list[str], environment: Mapping[str, str], directory: Path, log: Path
) -> Iterator[None]:
    """The program, until the end of the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=directory, env=environment, stdout=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)


def wait_for_answer(port: int) -> None:
    """Until the program listens; it takes a message without a signature for what it is."""
    deadline = time.monotonic() + 20
    while True:
        try:
            answer = httpx.post(f"http://127.0.0.1:{port}/", content=b"{}", trust_env=False)
        except httpx.ConnectError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            assert answer.status_code == 401
            return
