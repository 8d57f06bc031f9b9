"""A training container: the image's `train` on a materialised /opt/ml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sandbox.containers.environment import container_environment
from sandbox.containers.isolation import NOTICE, isolation_mode
from sandbox.containers.layer import make_layer
from sandbox.containers.process import ContainerProcess
from sandbox.containers.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from sandbox.image import Image

# SIGTERM, then 120 seconds:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html
STOP_GRACE_SECONDS = 120.0

# Both toolkits install a command `train` and which one the published image ends up with is not known; they
# differ in whether a failure file that the script wrote itself survives.
COMMANDS = {"sagemaker-training": "train", "sagemaker-containers": "train-containers"}


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """One training job, as the platform hands it to the container.

    Attributes:
        job_name: The job's name.
        tree: An empty folder, but for the channels' data in input/data/<channel>.
        image: The image environment.
        hyperparameters: As in CreateTrainingJob: all values are strings.
        environment: The job's own variables.
        channels: Channel name to its entry in inputdataconfig.json.
        instance_type: As asked for; the machine stays this one.
        instance_count: As asked for; the sandbox runs one.
        network_isolation: Whether to cut the container off.
        credentials: The role's AWS_* variables; not given to an isolated container.
        region: The region's name.
        endpoint_url: Where the container finds AWS.
        entrypoint: AlgorithmSpecification.ContainerEntrypoint.
        arguments: AlgorithmSpecification.ContainerArguments; `train` when there is neither.
        toolkit: Whose `train` to run.
    """

    job_name: str
    tree: Path
    image: Image
    hyperparameters: dict[str, str]
    environment: dict[str, str]
    channels: dict[str, dict[str, Any]]
    instance_type: str
    instance_count: int
    network_isolation: bool
    credentials: dict[str, str] | None
    region: str
    endpoint_url: str
    entrypoint: list[str] | None = None
    arguments: list[str] | None = None
    toolkit: Literal["sagemaker-training", "sagemaker-containers"] = "sagemaker-training"


class TrainingContainer:
    """Runs one training job to its end.

    Args:
        spec: The job.
        on_line: Gets every line of output, from a thread of the container's.
    """

    def __init__(self, spec: TrainingSpec, on_line: Callable[[str], None]) -> None:
        self._spec = spec
        self._tree = Tree(spec.tree)
        self._on_line = on_line
        self._process: ContainerProcess | None = None

    def start(self) -> None:
        """Write the platform's files and start the toolkit.

        Raises:
            ValueError: The tree's path is too long.
        """
        spec, tree = self._spec, self._tree
        tree.make_training(
            hyperparameters=spec.hyperparameters, channels=spec.channels, instance_type=spec.instance_type
        )
        make_layer(tree.venv, spec.image)
        network = isolation_mode(spec.image.python) if spec.network_isolation else "host"
        if spec.network_isolation and network == "host":
            self._on_line(NOTICE)
        if spec.instance_count > 1:
            self._on_line(f"sandbox: {spec.instance_count} instances were asked for, the sandbox runs one")
        environment = container_environment(tree, spec, network)
        environment.setdefault("TRAINING_JOB_NAME", spec.job_name)
        self._process = ContainerProcess(
            self._command(),
            environment=environment,
            cwd=tree.working_directory,
            python=spec.image.python,
            network=network,
            on_line=self._on_line,
        )
        self._process.start()

    def _command(self) -> list[str]:
        entrypoint, arguments = self._spec.entrypoint or [], self._spec.arguments or []
        return self._tree.map_all([*entrypoint, *arguments]) or [COMMANDS[self._spec.toolkit]]

    def wait(self, timeout_seconds: float | None) -> int | None:
        """Wait for the end and the last line; gives the exit code, or None when the time is over."""
        return None if self._process is None else self._process.wait(timeout_seconds)

    def alive(self) -> bool:
        """Whether it is running."""
        return self._process is not None and self._process.alive()

    def stop(self, grace_seconds: float = STOP_GRACE_SECONDS) -> None:
        """Stop as the platform does: SIGTERM to the toolkit alone, SIGKILL to everything after the grace.

        Neither toolkit handles SIGTERM and the script never sees it, so in general this takes the whole
        grace; a script that ends within it still succeeds. Returns when everything has ended.
        """
        if self._process is not None:
            self._process.stop(grace_seconds)

    def failure_text(self) -> str:
        """What /opt/ml/output/failure says, uncut; empty when there is none."""
        try:
            return (self._tree.output / "failure").read_text(errors="replace")
        except FileNotFoundError:
            return ""
