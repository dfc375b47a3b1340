"""Client that follows a job's event stream and reconnects after an interruption."""

import threading
import time
from collections.abc import Sequence

import httpx

from tests.journey.caller import Caller
from tests.journey.meta import Json
from tests.support.event_streams import Reader, resuming


class Following(threading.Thread):
    """Thread that reads a job's events from the first to the last, or until `stop`.

    It continues after the events that it is given. With `hang_up` it closes the connection after
    each event.
    """

    def __init__(
        self,
        url: str,
        caller: Caller,
        job: Json,
        *,
        after: Sequence[Json] = (),
        hang_up: bool = False,
    ) -> None:
        super().__init__()
        self.url = url
        self.events = list(after)
        self._path = f"/v1/sync-jobs/{job['id']}/events"
        self._key = caller.api_key
        self._hang_up = hang_up
        self._stopped = threading.Event()
        self.start()

    def run(self) -> None:
        """Read streams until the last event."""
        while not self._stopped.is_set() and not (self.events and self.events[-1]["final"]):
            try:
                self._read_stream()
            except httpx.TransportError:
                time.sleep(0.1)

    def all_events(self, seconds: float = 30) -> list[Json]:
        """Wait for the last event, and return all events."""
        self.join(seconds)
        assert not self.is_alive(), self.events
        return self.events

    def stop(self) -> None:
        """Stop following a job that does not end."""
        self._stopped.set()
        self.join(30)

    def _read_stream(self) -> None:
        after = self.events[-1]["id"] if self.events else None
        headers = {"Authorization": f"Bearer {self._key}", **resuming(after)}
        reader = Reader()
        with (
            httpx.Client(base_url=self.url, trust_env=False, timeout=20) as client,
            client.stream("GET", self._path, headers=headers) as answer,
        ):
            assert answer.status_code == 200, answer.read()
            for line in answer.iter_lines():
                if reader.take(line):
                    self.events.append(reader.events[-1])
                    if self._hang_up:
                        return
