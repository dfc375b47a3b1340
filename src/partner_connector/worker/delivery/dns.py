"""DNS lookups on separate threads.

A lookup cannot be cancelled, and takes longer than an attempt if the DNS servers do not answer. On
the event loop's shared threads a few such names would block the whole worker.
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

# As many as there are delivery queues in progress at once.
_CONCURRENT_LOOKUPS = 32


class Lookups:
    """Resolver of this machine, on a pool of threads."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_CONCURRENT_LOOKUPS, thread_name_prefix="lookup")

    async def addresses_of(self, host: str, port: int) -> Sequence[str]:
        """Return all addresses of a name, in the order in which this machine would use them."""
        lookup = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, lookup)
        return [str(address[0]) for *_, address in found]

    def close(self) -> None:
        """Release the threads. A lookup that is still running ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)
