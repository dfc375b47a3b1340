"""A customer's program that follows a job's stream, and comes back when the connection breaks."""

import threading
import time
from collections.abc import Sequence

import httpx

from tests.journey.caller import Caller
from tests.journey.meta import Json
from tests.support.event_streams import Reader, resuming


class Following(threading.Thread):
    """From the job's first event to its last, or until `stop`.

    It goes on after the events that it is given. With `hang_up` it closes the connection after
    each one that it gets.
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
        """Until there is no more."""
        while not self._stopped.is_set() and not (self.events and self.events[-1]["final"]):
            try:
                self._take_up()
            except httpx.TransportError:
                time.sleep(0.1)

    def told(self, seconds: float = 30) -> list[Json]:
        """All events, once the last one is there."""
        self.join(seconds)
        assert not self.is_alive(), self.events
        return self.events

    def stop(self) -> None:
        """For one that follows something that will not end."""
        self._stopped.set()
        self.join(30)

    def _take_up(self) -> None:
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
