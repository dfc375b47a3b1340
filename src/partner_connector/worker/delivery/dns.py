"""Looking up names, on threads of their own.

A lookup cannot be cut short, and one whose servers never answer lasts longer than any attempt. On
the loop's threads, which are everybody's, some such names would keep the whole worker waiting.
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

# As many as there are lanes under way at once.
_AT_ONCE = 32


class Lookups:
    """Asks this machine's resolver."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="lookup")

    async def addresses_of(self, host: str, port: int) -> Sequence[str]:
        """Every address of a name, in the order in which this machine would use them."""
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [str(address[0]) for *_, address in found]

    def close(self) -> None:
        """Let go of the threads; one that is still asking ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
