"""The variables of a container: the image's, the platform's, the user's. Nothing of the host's gets in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.containers.isolation import NO_WAY_OUT, Mode

if TYPE_CHECKING:
    from sandbox.containers.requests import ContainerRequest
    from sandbox.containers.tree import Tree

# docker/sklearn/1.9-0/Dockerfile of github.com/aws/deep-learning-containers. The SM_ ones are set while
# serving too: they do not mean that a training job runs.
IMAGE_VARIABLES = {
    "PATH": "/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONIOENCODING": "utf-8",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TEMP": "/home/model-server/tmp",
    "SM_INPUT": "/opt/ml/input",
    "SM_INPUT_TRAINING_CONFIG_FILE": "/opt/ml/input/config/hyperparameters.json",
    "SM_INPUT_DATA_CONFIG_FILE": "/opt/ml/input/config/inputdataconfig.json",
    "SM_CHECKPOINT_CONFIG_FILE": "/opt/ml/input/config/checkpointconfig.json",
    "SM_MODEL_DIR": "/opt/ml/model",
    "SAGEMAKER_SKLEARN_VERSION": "1.9-0",
    "SAGEMAKER_TRAINING_MODULE": "sagemaker_sklearn_container.training:main",
    "SAGEMAKER_SERVING_MODULE": "sagemaker_sklearn_container.serving:main",
}


def container_environment(tree: Tree, spec: ContainerRequest, network: Mode) -> dict[str, str]:
    """All the variables a container starts with; later ones win.

    The image's, the platform's, the user's with the image's paths mapped, and last what makes the sandbox
    a sandbox, which a user cannot change.

    Args:
        tree: The container's folders.
        spec: What was asked for.
        network: How its network is cut off; `host` when it is not.
    """
    values = tree.map_values(IMAGE_VARIABLES)
    values |= _platform_variables(spec)
    values |= tree.map_values(spec.environment)
    if spec.network_isolation and network == "host":
        values |= NO_WAY_OUT
    return values | {
        "SAGEMAKER_BASE_DIR": str(tree.root),
        "HOME": str(tree.home),
        "TMPDIR": str(tree.temporary),
        # The host's pip settings (an index of the company, say) do not exist in the image.
        "PIP_CONFIG_FILE": "/dev/null",
        # On a developer's EC2 machine boto3 would find that machine's role.
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _platform_variables(spec: ContainerRequest) -> dict[str, str]:
    region = {"AWS_REGION": spec.region, "AWS_DEFAULT_REGION": spec.region}
    if spec.network_isolation:
        # EnableNetworkIsolation: no outbound calls, "no AWS credentials are made available to the container".
        # https://docs.aws.amazon.com/sagemaker/latest/dg/mkt-algo-model-internet-free.html
        return region
    return region | {"AWS_ENDPOINT_URL": spec.endpoint_url} | dict(spec.credentials or {})
