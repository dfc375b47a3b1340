"""Webhook receiver of a customer, which verifies each signature as a real one does."""

import ssl
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

Json = dict[str, Any]
# As a status: close the connection without an answer.
HANGS_UP = 0


@dataclass(frozen=True, slots=True)
class Received:
    """Verified request, with the status that was answered."""

    id: str
    body: Json
    raw: bytes
    headers: Mapping[str, str]
    status: int

    @property
    def data(self) -> Json:
        """Member `data` of the event: ids and states."""
        data: Json = self.body["data"]
        return data


@dataclass
class Receiver:
    """Webhook receiver.

    It answers 401 to a wrong signature, and otherwise the next status of `answers`, or 204.
    """

    url: str = ""
    port: int = 0
    secret: str = ""
    requests: list[Received] = field(default_factory=list)
    answers: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    # Each answer waits for this event: clear it to be slow.
    awake: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer_next(self, *statuses: int, **headers: str) -> None:
        """Answer the next requests with these statuses, in order, and the later ones with 204."""
        self.answers.extend((status, headers) for status in statuses)

    @property
    def accepted(self) -> list[Received]:
        """Requests that were answered with a success."""
        return [each for each in self.requests if 200 <= each.status < 300]

    def take(self, raw: bytes, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str]]:
        """Verify and record a request. Return the status and the headers of the answer."""
        with self.lock:
            try:
                body = Webhook(self.secret).verify(raw, dict(headers))
            except WebhookVerificationError:
                return 401, {}
            status, more = self.answers.popleft() if self.answers else (204, {})
            name = {key.lower(): value for key, value in headers.items()}["webhook-id"]
            self.requests.append(Received(name, body, raw, headers, status))
        return status, more


@contextmanager
def receiver(certificate: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Run a receiver on a free port, with TLS if there is a certificate."""
    running = Receiver()
    running.awake.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            running.awake.wait(timeout=30)
            status, more = running.take(raw, dict(self.headers.items()))
            if status == HANGS_UP:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        server.socket = certificate.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    running.port = server.server_address[1]
    running.url = f"http://127.0.0.1:{running.port}/hooks"
    try:
        yield running
    finally:
        running.awake.set()
        server.shutdown()
        thread.join()
        server.server_close()
