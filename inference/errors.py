"""What a client is told when a request cannot be answered."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any


class RequestError(Exception):
    """A request that is refused; carries its HTTP status and its wording.

    Attributes:
        status: 4xx.
        message: One sentence: the thing, what was found, what is allowed.
        details: Machine-readable parts of it, such as row, column and value.
    """

    def __init__(self, status: HTTPStatus, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = details

    def body(self) -> str:
        """The JSON body of the answer."""
        return json.dumps({"error": self.message, "status": int(self.status), **self.details})


def bad_request(message: str, **details: Any) -> RequestError:
    """A request whose body cannot be used."""
    return RequestError(HTTPStatus.BAD_REQUEST, message, **details)
