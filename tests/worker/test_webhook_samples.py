"""The receiver programs of docs/how-to/follow-changes.md, which verify the service's messages."""

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
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.delivery.deliverer import Deliverer
from partner_connector.worker.delivery.sender import Sender

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "how-to" / "follow-changes.md").read_text(encoding="utf-8")
EVENTS = (DOCS / "reference" / "events.md").read_text(encoding="utf-8")
NODE = str(Path(sys.executable).with_name("node"))
LANGUAGES = {"python": (sys.executable, "receive.py"), "javascript": (NODE, "receive.mjs")}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings that allow webhooks to this machine."""
    return settings.model_copy(update={"webhook_allow_loopback": True})


def test_page_lists_every_event_type() -> None:
    table = re.findall(
        r"`([a-z_]+\.[a-z_]+)`", EVENTS.split("## Webhook events\n")[1].split("```")[0]
    )
    assert sorted(table) == sorted(EventType)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("language", LANGUAGES)
async def test_sample_accepts_only_messages_with_its_secret(
    api: httpx.AsyncClient, context: WorkerContext, tmp_path: Path, language: str
) -> None:
    """Accept messages while the secret is replaced, and refuse a message with another secret."""
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
    deliverer = Deliverer(context, sender)
    statuses = []
    with running_program([interpreter, name], environment, tmp_path, log):
        wait_until_listening(port)
        for _ in range(3):
            sent = await api.post(f"{path}/test")
            await deliverer.poll(now())
            await deliverer.wait_until_idle()
            statuses.append((await api.get(sent.headers["Location"])).json())
            await api.post(f"{path}/rotate-secret")
    await sender.close()
    assert [each["last_status_code"] for each in statuses] == [204, 204, 401]
    assert log.read_text().splitlines() == [
        f"{each['event_id']} webhook_endpoint.test" for each in statuses[:2]
    ]


@contextmanager
def running_program(
    command: list[str], environment: Mapping[str, str], directory: Path, log: Path
) -> Iterator[None]:
    """Run the program until the end of the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=directory, env=environment, stdout=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)


def wait_until_listening(port: int) -> None:
    """Wait until the program listens. It must refuse a message without a signature."""
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
