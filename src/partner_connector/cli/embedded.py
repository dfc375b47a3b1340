"""`partner-connector serve --with-worker`: API and worker in one process."""

import socket
import sys

from partner_connector.api.app import create_app
from partner_connector.cli import process, provision
from partner_connector.cli.serving import ApiServer, listen, run_server
from partner_connector.cli.terminal import tell
from partner_connector.cli.working import worker_in_a_thread
from partner_connector.sealing.keyring import Ring
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings

# A request hands over between threads some twenty times, and each time a working thread keeps the
# interpreter for this long: with Python's 5 ms a list took 70 ms while a partner was checked.
_SWITCH_SECONDS = 0.0002


def serve(host: str, port: int) -> None:
    """Take the port, check what must exist, and serve and work until a signal."""
    settings = process.configure()
    with listen(host, port) as listener:
        provision.prepare_database(settings, tell)
        ring = provision.private_keyring(settings, tell)
        process.run(_serve_embedded(settings, ring, listener))


async def _serve_embedded(settings: Settings, ring: Ring, listener: socket.socket) -> None:
    """API and worker in one process, until a signal."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    server = ApiServer(create_app(settings, PublicKeyring(ring)), settings.drain_seconds)
    # Outside of the worker: a second signal must not cut short the hand-over of its work.
    with process.metrics_served(settings), process.signals_call(server.leave):
        async with worker_in_a_thread(settings, ring):
            await run_server(server, listener)
