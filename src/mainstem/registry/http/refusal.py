"""What a request is told that is no request of ours: it never came to the rules of the registry."""

from collections.abc import Mapping


class Refused(Exception):
    """A request that is answered with this status, and an error code equal to it."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}
