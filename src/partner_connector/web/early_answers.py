"""An answer that is known before an operation has done its work: nothing new, or given before."""

from collections.abc import Mapping


class EarlyAnswer(Exception):
    """Ends the operation, whose transaction rolls back, with this success."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        super().__init__(str(status))
        self.status = status
        self.body = body
        self.headers = dict(headers)
