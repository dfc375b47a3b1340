"""`partner-connector serve --with-worker`: API and worker in one process."""

import socket
import sys

from partner_connector.api.app import create_app
from partner_connector.cli import process, provision
from partner_connector.cli.serving import ApiServer, listen, report_first_steps, run_server
from partner_connector.cli.terminal import report
from partner_connector.cli.working import worker_in_a_thread
from partner_connector.sealing.keyring import KeyringSource
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings

# A request switches threads about twenty times, and each time a busy worker thread may hold the
# interpreter for this long. With Python's 5 ms a list took 70 ms while a sync job was running.
_SWITCH_SECONDS = 0.0002


def serve(host: str, port: int) -> None:
    """Bind the port, check the database and the keys, and run API and worker until a signal."""
    settings = process.configure()
    with listen(host, port) as listener:
        is_first_start = provision.prepare_database(settings, report)
        ring = provision.private_keyring(settings, report)
        if is_first_start:
            report_first_steps(listener)
        process.run(_serve_embedded(settings, ring, listener))


async def _serve_embedded(settings: Settings, ring: KeyringSource, listener: socket.socket) -> None:
    """Run API and worker in one process until a signal."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    server = ApiServer(create_app(settings, PublicKeyring(ring)), settings.drain_seconds)
    # Signal handlers outlive the worker: a second signal must not interrupt its shutdown.
    with process.metrics_served(settings), process.signals_call(server.start_draining):
        async with worker_in_a_thread(settings, ring):
            await run_server(server, listener)
