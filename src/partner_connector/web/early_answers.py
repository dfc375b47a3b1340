"""A response that is known before an operation runs: `304`, or a stored response."""

from collections.abc import Mapping


class EarlyAnswer(Exception):
    """Successful response that ends the operation and rolls its transaction back."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        super().__init__(str(status))
        self.status = status
        self.body = body
        self.headers = dict(headers)
