"""A training container: the image's `train` on a materialised /opt/ml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sandbox.containers.container import Container
from sandbox.containers.requests import TrainingRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.image import Image

# Both toolkits install a command `train` and which one the published image ends up with is not known; they
# differ in whether a failure file that the script wrote itself survives.
COMMANDS = {"sagemaker-training": "train", "sagemaker-containers": "train-containers"}


@dataclass(frozen=True, kw_only=True)
class TrainingSpec(TrainingRequest):
    """A training job and the image environment to run it in; `toolkit` says whose `train` to run."""

    image: Image
    toolkit: Literal["sagemaker-training", "sagemaker-containers"] = "sagemaker-training"


class TrainingContainer(Container):
    """Runs one training job to its end.

    Neither toolkit handles SIGTERM and the script never sees it, so in general stopping takes the whole
    grace; a script that ends within it still succeeds.
    """

    # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html
    stop_grace_seconds = 120.0

    def __init__(self, spec: TrainingSpec, on_line: Callable[[str], None]) -> None:
        super().__init__(spec, spec.image, on_line)
        self._spec = spec

    def start(self) -> None:
        """Write the platform's files and start the toolkit.

        Raises:
            ValueError: The tree's path is too long.
        """
        spec = self._spec
        self._tree.make_training(
            hyperparameters=spec.hyperparameters, channels=spec.channels, instance_type=spec.instance_type
        )
        if spec.instance_count > 1:
            self._on_line(f"sandbox: {spec.instance_count} instances were asked for, the sandbox runs one")
        command = self._tree.map_all([*(spec.entrypoint or []), *(spec.arguments or [])])
        self._launch(
            command or [COMMANDS[spec.toolkit]],
            TRAINING_JOB_NAME=spec.environment.get("TRAINING_JOB_NAME", spec.job_name),
        )

    def failure_text(self) -> str:
        """What /opt/ml/output/failure says, uncut; empty when there is none."""
        return self._left_behind("failure")
