"""A processing container: the job's own entrypoint on a materialised /opt/ml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.containers.container import Container

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.containers.requests import ProcessingRequest
    from sandbox.image import Image


class ProcessingContainer(Container):
    """Runs a processing job's entrypoint as a process of the image environment.

    Paths below /opt/ml in the entrypoint, its arguments and the environment are those of the job's tree. One
    that the script itself spells out leads there where the machine allows a mount namespace.
    """

    def __init__(self, request: ProcessingRequest, image: Image, on_line: Callable[[str], None]) -> None:
        super().__init__(request, image, on_line)
        self._request = request

    def start(self) -> None:
        """Start the entrypoint."""
        self._tree.make()
        self._launch(self._tree.map_all([*self._request.entrypoint, *self._request.arguments]))

    def failure_text(self) -> str:
        """What the job left in /opt/ml/output/message (API_DescribeProcessingJob, ExitMessage)."""
        return self._left_behind("message")
