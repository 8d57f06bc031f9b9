"""The image's own toolkits run as processes, each on a materialised /opt/ml."""

from sandbox.containers.interpreter import ImageError
from sandbox.containers.processing import ProcessingContainer
from sandbox.containers.serving import ServingContainer, ServingSpec
from sandbox.containers.training import TrainingContainer, TrainingSpec

__all__ = [
    "ImageError",
    "ProcessingContainer",
    "ServingContainer",
    "ServingSpec",
    "TrainingContainer",
    "TrainingSpec",
]
