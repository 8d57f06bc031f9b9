"""SageMaker: model package groups, training jobs, models, endpoint configurations, endpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from sandbox.deployer.interface import ProviderError
from sandbox.deployer.values import Properties

from . import schema, wire
from .aws import Call, code_of, retried, wait_until
from .kinds import Kind, Naming, names, retag, tag_map

_TRAINING_SECONDS = 24 * 3600.0
_ENDPOINT_SECONDS = 1800.0
_GONE_TEXTS = ("could not find", "does not exist", "not found")

wire.RENAMES.update(
    {
        ("CreateModelInput", "name"): "ModelName",
        ("DescribeModelOutput", "name"): "ModelName",
        ("CreateEndpointConfigInput", "name"): "EndpointConfigName",
        ("CreateEndpointInput", "name"): "EndpointName",
        ("CreateEndpointConfigInput", "kmsKeyArn"): "KmsKeyId",
        ("DescribeEndpointConfigOutput", "kmsKeyArn"): "KmsKeyId",
        ("ContainerDefinition", "modelDataSource"): "ModelDataSource",
    }
)


def _missing(call: Callable[[], Any]) -> Any:
    """Return what a describe call answers, or None when SageMaker says there is no such thing."""
    try:
        return call()
    except ClientError as error:
        text = str(error).lower()
        if code_of(error) in ("ResourceNotFound", "ResourceNotFoundException"):
            return None
        if code_of(error) == "ValidationException" and any(part in text for part in _GONE_TEXTS):
            return None
        raise


def _delete_if_there(call: Callable[[], Any]) -> None:
    _missing(call)


def _encode(operation: str, inputs: Properties, wanted: frozenset[str]) -> dict[str, Any]:
    settings = {key: value for key, value in inputs.items() if key in wanted and value is not None}
    encoded: dict[str, Any] = wire.encode(wire.input_shape("sagemaker", operation), settings)
    return encoded


def _decode(operation: str, answer: dict[str, Any], token: str, wanted: frozenset[str]) -> Properties:
    known = schema.of(token).outputs
    shape = wire.output_shape("sagemaker", operation)
    return wire.decode_fields(shape, answer, {key: known[key] for key in wanted if key in known})


def _tags_of(call: Call, arn: str) -> dict[str, str]:
    answer = call.client("sagemaker").list_tags(ResourceArn=arn)
    return tag_map(answer.get("Tags", []))


def _set_tags(call: Call, arn: str, old: Properties, new: Properties) -> None:
    client = call.client("sagemaker")
    retag(
        old,
        new,
        lambda keys: client.delete_tags(ResourceArn=arn, TagKeys=keys),
        lambda: client.add_tags(ResourceArn=arn, Tags=call.tag_list()),
    )


def _with_tags(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    return {**request, "Tags": call.tag_list()} if call.tags else request


def _assumable(call: Callable[[], Any]) -> Any:
    """Repeat while SageMaker cannot assume a role that was made a moment ago."""
    return retried(call, "ValidationException", message="could not assume role")


# -- model package group -----------------------------------------------------------------------------


def _create_group(call: Call, inputs: Properties) -> str:
    request = {"ModelPackageGroupName": inputs["modelPackageGroupName"]}
    if inputs.get("modelPackageGroupDescription"):
        request["ModelPackageGroupDescription"] = inputs["modelPackageGroupDescription"]
    call.client("sagemaker").create_model_package_group(**_with_tags(call, request))
    return str(inputs["modelPackageGroupName"])


def _read_group(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    client = call.client("sagemaker")
    answer = _missing(lambda: client.describe_model_package_group(ModelPackageGroupName=id_))
    if answer is None:
        return None
    arn = answer["ModelPackageGroupArn"]
    return {
        "modelPackageGroupName": id_,
        "modelPackageGroupDescription": answer.get("ModelPackageGroupDescription"),
        "arn": arn,
        "tagsAll": _tags_of(call, arn),
    }


def _update_arn(call: Call, kind: str, id_: str, old: Properties, new: Properties) -> None:
    _set_tags(call, call.aws.arn("sagemaker", f"{kind}/{id_}"), old, new)


def _delete_group(call: Call, id_: str, _inputs: Properties) -> None:
    client = call.client("sagemaker")
    _delete_if_there(lambda: client.delete_model_package_group(ModelPackageGroupName=id_))


GROUP = Kind(
    type="aws:sagemaker/modelPackageGroup:ModelPackageGroup",
    properties=names("modelPackageGroupDescription modelPackageGroupName region tags"),
    create=_create_group,
    read=_read_group,
    update=lambda call, id_, old, new: _update_arn(call, "model-package-group", id_, old, new),
    delete=_delete_group,
    replace=frozenset({"*"}),
    tags=True,
    identify=lambda inputs: inputs["modelPackageGroupName"],
)

# -- training job ------------------------------------------------------------------------------------

_JOB = names(
    "algorithmSpecification checkpointConfig debugHookConfig debugRuleConfigurations infraCheckConfig "
    "mlflowConfig modelPackageConfig profilerConfig profilerRuleConfigurations remoteDebugConfig "
    "serverlessJobConfig sessionChainingConfig tensorBoardOutputConfig "
    "enableInterContainerTrafficEncryption enableManagedSpotTraining "
    "enableNetworkIsolation environment experimentConfig hyperParameters inputDataConfigs outputDataConfig "
    "resourceConfig retryStrategy roleArn stoppingCondition trainingJobName vpcConfig"
)
_JOB_RUNNING = {"InProgress", "Stopping"}


def _create_job(call: Call, inputs: Properties) -> str:
    client = call.client("sagemaker")
    request = _with_tags(call, _encode("CreateTrainingJob", inputs, _JOB))
    _assumable(lambda: client.create_training_job(**request))
    name = call.created(inputs["trainingJobName"])
    data = _wait_job(call, name, call.seconds(_TRAINING_SECONDS))
    if data["TrainingJobStatus"] != "Completed":
        reason = data.get("FailureReason") or data.get("SecondaryStatus") or "no reason given"
        raise ProviderError(f"training job {name} {data['TrainingJobStatus']}: {reason}")
    return name


def _wait_job(call: Call, name: str, seconds: float) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        data: dict[str, Any] = call.client("sagemaker").describe_training_job(TrainingJobName=name)
        return None if data["TrainingJobStatus"] in _JOB_RUNNING else data

    return wait_until(ended, seconds, f"training job {name}")


def _read_job(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    client = call.client("sagemaker")
    answer = _missing(lambda: client.describe_training_job(TrainingJobName=id_))
    if answer is None:
        return None
    live = _decode("DescribeTrainingJob", answer, JOB.type, _JOB)
    arn = answer["TrainingJobArn"]
    return {**live, "arn": arn, "tagsAll": _tags_of(call, arn)}


def _delete_job(call: Call, id_: str, _inputs: Properties) -> None:
    """Stop the job if it runs, then delete it; AWS deletes training jobs that have ended."""
    client = call.client("sagemaker")
    data = _missing(lambda: client.describe_training_job(TrainingJobName=id_))
    if data is None:
        return
    if data["TrainingJobStatus"] == "InProgress":
        _delete_if_there(lambda: client.stop_training_job(TrainingJobName=id_))
    if data["TrainingJobStatus"] in _JOB_RUNNING:
        _wait_job(call, id_, call.seconds(_ENDPOINT_SECONDS))
    _delete_if_there(lambda: client.delete_training_job(TrainingJobName=id_))


JOB = Kind(
    type="aws:sagemaker/trainingJob:TrainingJob",
    local=names("timeouts"),
    properties=_JOB | names("region tags timeouts"),
    create=_create_job,
    read=_read_job,
    update=lambda call, id_, old, new: _update_arn(call, "training-job", id_, old, new),
    delete=_delete_job,
    replace=frozenset({"*"}),
    tags=True,
    identify=lambda inputs: inputs["trainingJobName"],
)

# -- model -------------------------------------------------------------------------------------------

_MODEL = names(
    "containers enableNetworkIsolation executionRoleArn inferenceExecutionConfig name "
    "primaryContainer vpcConfig"
)


def _create_model(call: Call, inputs: Properties) -> str:
    client = call.client("sagemaker")
    request = _with_tags(call, _encode("CreateModel", inputs, _MODEL))
    _assumable(lambda: client.create_model(**request))
    return str(inputs["name"])


def _read_model(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    answer = _missing(lambda: call.client("sagemaker").describe_model(ModelName=id_))
    if answer is None:
        return None
    live = _decode("DescribeModel", answer, MODEL.type, _MODEL)
    return {**live, "name": id_, "arn": answer["ModelArn"], "tagsAll": _tags_of(call, answer["ModelArn"])}


def _delete_model(call: Call, id_: str, _inputs: Properties) -> None:
    _delete_if_there(lambda: call.client("sagemaker").delete_model(ModelName=id_))


MODEL = Kind(
    type="aws:sagemaker/model:Model",
    properties=_MODEL | names("region tags"),
    create=_create_model,
    read=_read_model,
    update=lambda call, id_, old, new: _update_arn(call, "model", id_, old, new),
    delete=_delete_model,
    replace=frozenset({"*"}),
    naming=Naming(prefix=None, maximum=63),
    tags=True,
    identify=lambda inputs: inputs["name"],
    one_of=(("primaryContainer", "containers"),),
)

# -- endpoint configuration --------------------------------------------------------------------------

_CONFIG = names(
    "asyncInferenceConfig dataCaptureConfig executionRoleArn kmsKeyArn name productionVariants "
    "shadowProductionVariants"
)


def _create_config(call: Call, inputs: Properties) -> str:
    request = _with_tags(call, _encode("CreateEndpointConfig", inputs, _CONFIG))
    for variant in request["ProductionVariants"]:
        # aws_sagemaker_endpoint_configuration: the weight of a variant is 1 when none is given.
        if "ModelName" in variant:
            variant.setdefault("InitialVariantWeight", 1.0)
    call.client("sagemaker").create_endpoint_config(**request)
    return str(inputs["name"])


def _read_config(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    client = call.client("sagemaker")
    answer = _missing(lambda: client.describe_endpoint_config(EndpointConfigName=id_))
    if answer is None:
        return None
    live = _decode("DescribeEndpointConfig", answer, CONFIG.type, _CONFIG)
    arn = answer["EndpointConfigArn"]
    return {**live, "name": id_, "arn": arn, "tagsAll": _tags_of(call, arn)}


def _delete_config(call: Call, id_: str, _inputs: Properties) -> None:
    _delete_if_there(lambda: call.client("sagemaker").delete_endpoint_config(EndpointConfigName=id_))


CONFIG = Kind(
    type="aws:sagemaker/endpointConfiguration:EndpointConfiguration",
    properties=_CONFIG | names("namePrefix region tags"),
    create=_create_config,
    read=_read_config,
    update=lambda call, id_, old, new: _update_arn(call, "endpoint-config", id_, old, new),
    delete=_delete_config,
    replace=frozenset({"*"}),
    naming=Naming(maximum=63),
    tags=True,
    identify=lambda inputs: inputs["name"],
)

# -- endpoint ----------------------------------------------------------------------------------------

_ENDPOINT_SETTLED = {"InService", "Failed", "OutOfService", "UpdateRollbackFailed"}


def _create_endpoint(call: Call, inputs: Properties) -> str:
    wanted = names("name endpointConfigName deploymentConfig")
    request = _with_tags(call, _encode("CreateEndpoint", inputs, wanted))
    call.client("sagemaker").create_endpoint(**request)
    name = call.created(inputs["name"])
    _wait_in_service(call, name, inputs["endpointConfigName"])
    return name


def _wait_in_service(call: Call, name: str, config: str) -> None:
    """Wait, and look at what serves: SageMaker calls a rolled-back update InService too."""

    def settled() -> dict[str, Any] | None:
        data: dict[str, Any] = call.client("sagemaker").describe_endpoint(EndpointName=name)
        return data if data["EndpointStatus"] in _ENDPOINT_SETTLED else None

    data = wait_until(settled, call.seconds(_ENDPOINT_SECONDS), f"endpoint {name} coming into service")
    reason = data.get("FailureReason") or "no reason given"
    if data["EndpointStatus"] != "InService":
        raise ProviderError(f"endpoint {name} {data['EndpointStatus']}: {reason}")
    if data["EndpointConfigName"] != config:
        raise ProviderError(
            f"endpoint {name} was rolled back: it serves {data['EndpointConfigName']}, not {config}: {reason}"
        )


def _read_endpoint(call: Call, id_: str, inputs: Properties) -> Properties | None:
    client = call.client("sagemaker")
    answer = _missing(lambda: client.describe_endpoint(EndpointName=id_))
    if answer is None or answer["EndpointStatus"] == "Deleting":
        return None
    live: Properties = {
        "name": id_,
        "endpointConfigName": answer["EndpointConfigName"],
        "arn": answer["EndpointArn"],
        "tagsAll": _tags_of(call, answer["EndpointArn"]),
    }
    last = answer.get("LastDeploymentConfig")
    if last and inputs.get("deploymentConfig"):
        kind = schema.of(ENDPOINT.type).outputs["deploymentConfig"]
        live["deploymentConfig"] = wire.decode(wire.named("sagemaker", "DeploymentConfig"), last, kind)
    return live


def _update_endpoint(call: Call, id_: str, old: Properties, new: Properties) -> None:
    if any(old.get(key) != new.get(key) for key in ("endpointConfigName", "deploymentConfig")):
        request = _encode("UpdateEndpoint", new, names("endpointConfigName deploymentConfig"))
        call.client("sagemaker").update_endpoint(EndpointName=id_, **request)
        _wait_in_service(call, id_, new["endpointConfigName"])
    _update_arn(call, "endpoint", id_, old, new)


def _delete_endpoint(call: Call, id_: str, _inputs: Properties) -> None:
    client = call.client("sagemaker")

    def settled() -> bool | None:
        data = _missing(lambda: client.describe_endpoint(EndpointName=id_))
        return True if data is None or data["EndpointStatus"] not in ("Creating", "Updating") else None

    # SageMaker refuses to delete an endpoint that is being changed.
    wait_until(settled, call.seconds(_ENDPOINT_SECONDS), f"endpoint {id_} settling")
    _delete_if_there(lambda: client.delete_endpoint(EndpointName=id_))

    def vanished() -> bool | None:
        return True if _missing(lambda: client.describe_endpoint(EndpointName=id_)) is None else None

    wait_until(vanished, call.seconds(_ENDPOINT_SECONDS), f"endpoint {id_} being deleted")


ENDPOINT = Kind(
    type="aws:sagemaker/endpoint:Endpoint",
    properties=names("deploymentConfig endpointConfigName name region tags"),
    create=_create_endpoint,
    read=_read_endpoint,
    update=_update_endpoint,
    delete=_delete_endpoint,
    replace=names("name region"),
    naming=Naming(prefix=None, maximum=63),
    tags=True,
    identify=lambda inputs: inputs["name"],
)

KINDS = (GROUP, JOB, MODEL, CONFIG, ENDPOINT)
