"""What nginx does in front of gunicorn in the image, over the unix socket they share.

etc/nginx.conf.template of sagemaker-containers 2.8.6: three paths are passed on, others are 404 `{}`; header
names with an underscore are dropped (nginx's underscores_in_headers off); proxy_read_timeout is the server's
timeout.
"""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PASSED_ON = ("/ping", "/invocations", "/execution-parameters")
HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "server", "date"})

Answer = tuple[int, dict[str, str], bytes]


def _page(status: int) -> Answer:
    title = f"{status} {http.client.responses[status]}"
    body = f"<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n</body>\n</html>\n"
    return status, {"Content-Type": "text/html", "Content-Length": str(len(body))}, body.encode()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_seconds: float) -> None:
        super().__init__("localhost", timeout=timeout_seconds)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket file instead of a port."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(frozen=True)
class Front:
    """The way to one server.

    Attributes:
        path: Its unix socket.
        read_timeout_seconds: After which an unanswered request is 504.
    """

    path: Path
    read_timeout_seconds: float

    def request(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float
    ) -> Answer:
        """Pass one request on.

        Gives 502 while nobody listens and when the connection breaks (a killed worker), 504 when the
        server's own timeout passes.

        Raises:
            TimeoutError: The caller's timeout passed, which was the shorter one.
        """
        if not path.startswith(PASSED_ON):
            return 404, {"Content-Type": "application/json", "Content-Length": "2"}, b"{}"
        passed = {name: value for name, value in headers.items() if "_" not in name}
        connection = _UnixConnection(self.path, min(timeout_seconds, self.read_timeout_seconds))
        try:
            connection.request(method, path, body=body, headers=passed)
            response = connection.getresponse()
            content = response.read()
        except TimeoutError:
            if timeout_seconds < self.read_timeout_seconds:
                raise
            return _page(504)
        except (OSError, http.client.HTTPException):
            return _page(502)
        finally:
            connection.close()
        kept = {name: value for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP}
        return response.status, kept, content
