"""The real containers: the image's own toolkits as processes, from sandbox.containers."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from sandbox import image
from sandbox.containers import ServingContainer, ServingSpec, TrainingContainer, TrainingSpec
from sandbox.containers.environment import container_environment
from sandbox.containers.isolation import NOTICE, isolation_mode
from sandbox.containers.layer import make_layer
from sandbox.containers.process import ContainerProcess
from sandbox.containers.tree import Tree

if TYPE_CHECKING:
    from sandbox.sagemaker.containers import OnLine, ProcessingRequest, ServingRequest, TrainingRequest

_log = logging.getLogger(__name__)


class ImageContainers:
    """Makes containers of the image environment, which is built at the first job that needs it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._built: image.Image | None = None

    def training(self, request: TrainingRequest, on_line: OnLine) -> TrainingContainer:
        """A training container, not started."""
        spec = TrainingSpec(
            job_name=request.job_name,
            tree=request.tree,
            image=self._image(),
            hyperparameters=request.hyperparameters,
            environment=request.environment,
            channels=request.channels,
            instance_type=request.instance_type,
            instance_count=request.instance_count,
            network_isolation=request.network_isolation,
            credentials=request.credentials,
            region=request.region,
            endpoint_url=request.endpoint_url,
            entrypoint=request.entrypoint,
            arguments=request.arguments,
        )
        return TrainingContainer(spec, on_line)

    def serving(self, request: ServingRequest, on_line: OnLine) -> ServingContainer:
        """A serving container, not started."""
        spec = ServingSpec(
            name=request.name,
            tree=request.tree,
            image=self._image(),
            environment=request.environment,
            network_isolation=request.network_isolation,
            credentials=request.credentials,
            region=request.region,
            endpoint_url=request.endpoint_url,
        )
        return ServingContainer(spec, on_line)

    def processing(self, request: ProcessingRequest, on_line: OnLine) -> ProcessingContainer:
        """A processing container, not started."""
        return ProcessingContainer(request, self._image(), on_line)

    def _image(self) -> image.Image:
        with self._lock:
            if self._built is None:
                self._built = image.ensure(_log.info)
            return self._built


class ProcessingContainer:
    """Runs a processing job's entrypoint as a process of the image environment.

    Paths below /opt/ml in the entrypoint, its arguments and the environment are those of the job's tree. One
    that the script itself spells out leads there where the machine allows a mount namespace.
    """

    def __init__(self, request: ProcessingRequest, built: image.Image, on_line: OnLine) -> None:
        self._request = request
        self._image = built
        self._on_line = on_line
        self._tree = Tree(request.tree)
        self._process: ContainerProcess | None = None

    def start(self) -> None:
        """Start the entrypoint."""
        self._tree.make()
        make_layer(self._tree.venv, self._image)
        isolated = self._request.network_isolation
        network = isolation_mode(self._image.python) if isolated else "host"
        if isolated and network == "host":
            self._on_line(NOTICE)
        self._process = ContainerProcess(
            self._tree.map_all([*self._request.entrypoint, *self._request.arguments]),
            environment=container_environment(self._tree, self._request, network),
            cwd=self._tree.working_directory,
            python=self._image.python,
            network=network,
            on_line=self._on_line,
        )
        self._process.start()

    def wait(self, timeout_seconds: float | None) -> int | None:
        """The exit code, or None when it still runs after that time."""
        return None if self._process is None else self._process.wait(timeout_seconds)

    def stop(self, grace_seconds: float = 120) -> None:
        """SIGTERM, then SIGKILL to everything after the grace."""
        if self._process is not None:
            self._process.stop(grace_seconds)

    def failure_text(self) -> str:
        """What the job left in /opt/ml/output/message (API_DescribeProcessingJob, ExitMessage)."""
        try:
            return (self._tree.output / "message").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
