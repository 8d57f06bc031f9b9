"""The real containers: the image's own toolkits as processes, from sandbox.containers."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from sandbox import image
from sandbox.containers import (
    ProcessingContainer,
    ServingContainer,
    ServingSpec,
    TrainingContainer,
    TrainingSpec,
)

if TYPE_CHECKING:
    from sandbox.containers.requests import ProcessingRequest, ServingRequest, TrainingRequest
    from sandbox.sagemaker.containers import OnLine

_log = logging.getLogger(__name__)


class ImageContainers:
    """Makes containers of the image environment, which is built at the first job that needs it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._built: image.Image | None = None

    def training(self, request: TrainingRequest, on_line: OnLine) -> TrainingContainer:
        """A training container, not started."""
        return TrainingContainer(TrainingSpec(**vars(request), image=self._image()), on_line)

    def serving(self, request: ServingRequest, on_line: OnLine) -> ServingContainer:
        """A serving container, not started."""
        return ServingContainer(ServingSpec(**vars(request), image=self._image()), on_line)

    def processing(self, request: ProcessingRequest, on_line: OnLine) -> ProcessingContainer:
        """A processing container, not started."""
        return ProcessingContainer(request, self._image(), on_line)

    def _image(self) -> image.Image:
        with self._lock:
            if self._built is None:
                self._built = image.ensure(_log.info)
            return self._built
