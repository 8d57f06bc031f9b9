"""One recorded request: a line of ``requests.jsonl``, written by the Lambda and read by the job."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

JSON = "application/json"


@dataclass(frozen=True)
class Recorded:
    """A request as a client sent it.

    Attributes:
        body: The exact bytes.
        content_type: What they are.
        accept: What was answered then, so that it is answered in the same form now.
        at: When, as recorded; empty for a sample.
    """

    body: bytes
    content_type: str = JSON
    accept: str = JSON
    at: str = ""

    def line(self) -> str:
        """The line of the file, with its end."""
        data = {"content_type": self.content_type, "accept": self.accept, "at": self.at}
        try:
            return json.dumps({**data, "body": self.body.decode()}) + "\n"
        except UnicodeDecodeError:
            return json.dumps({**data, "base64": base64.b64encode(self.body).decode()}) + "\n"

    @classmethod
    def read(cls, line: str) -> Recorded:
        """Read a line back.

        Raises:
            ValueError: It is none.
        """
        data = json.loads(line)
        try:
            body = base64.b64decode(data["base64"]) if "base64" in data else data["body"].encode()
            return cls(body, data["content_type"], data["accept"], data["at"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no recorded request: {error}") from error
