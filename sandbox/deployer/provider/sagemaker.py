"""SageMaker: model package groups, training jobs, models, endpoint configurations, endpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from sandbox.deployer.interface import ProviderError
from sandbox.deployer.values import Properties

from . import schema, wire
from .aws import Call, code_of, retried, wait_until
from .kinds import ALL, Kind, Naming, names, retag, tag_map

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


def _assumable(call: Callable[[], Any]) -> Any:
    """Repeat while SageMaker cannot assume a role that was made a moment ago."""
    return retried(call, "ValidationException", message="could not assume role")


@dataclass(frozen=True)
class _Thing:
    """What is created, described and deleted under its own name, and changed in its tags alone.

    `member` holds the name in requests, `key` in inputs; `settings` are what a creation sends.
    """

    type: str
    member: str
    key: str
    settings: frozenset[str]

    @property
    def noun(self) -> str:
        """Its name in operations and ARNs: EndpointConfig."""
        return self.member.removesuffix("Name")

    def request(self, call: Call, inputs: Properties) -> dict[str, Any]:
        request = _encode(f"Create{self.noun}", inputs, self.settings)
        return {**request, "Tags": call.tag_list()} if call.tags else request

    def do(self, verb: str, call: Call, id_: str) -> Any:
        operation = getattr(call.client("sagemaker"), f"{verb}_{xform_name(self.noun)}")
        return _missing(lambda: operation(**{self.member: id_}))

    def read(self, call: Call, id_: str, _inputs: Properties) -> Properties | None:
        answer = self.do("describe", call, id_)
        if answer is None:
            return None
        live = _decode(f"Describe{self.noun}", answer, self.type, self.settings)
        arn = answer[f"{self.noun}Arn"]
        return {**live, self.key: id_, "arn": arn, "tagsAll": _tags_of(call, arn)}

    def retag(self, call: Call, id_: str, old: Properties, new: Properties) -> None:
        kind = xform_name(self.noun).replace("_", "-")
        _set_tags(call, call.aws.arn("sagemaker", f"{kind}/{id_}"), old, new)

    def delete(self, call: Call, id_: str, _inputs: Properties) -> None:
        self.do("delete", call, id_)


# -- model package group -----------------------------------------------------------------------------

_GROUP = _Thing(
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup",
    "ModelPackageGroupName",
    "modelPackageGroupName",
    names("modelPackageGroupDescription modelPackageGroupName"),
)


def _create_group(call: Call, inputs: Properties) -> str:
    call.client("sagemaker").create_model_package_group(**_GROUP.request(call, inputs))
    return str(inputs["modelPackageGroupName"])


GROUP = Kind(
    type=_GROUP.type,
    properties=_GROUP.settings | names("region tags"),
    create=_create_group,
    read=_GROUP.read,
    update=_GROUP.retag,
    delete=_GROUP.delete,
    replace=ALL,
    tags=True,
    identify=lambda inputs: inputs["modelPackageGroupName"],
)

# -- training job ------------------------------------------------------------------------------------

_JOB_SETTINGS = names(
    "algorithmSpecification checkpointConfig debugHookConfig debugRuleConfigurations infraCheckConfig "
    "mlflowConfig modelPackageConfig profilerConfig profilerRuleConfigurations remoteDebugConfig "
    "serverlessJobConfig sessionChainingConfig tensorBoardOutputConfig "
    "enableInterContainerTrafficEncryption enableManagedSpotTraining "
    "enableNetworkIsolation environment experimentConfig hyperParameters inputDataConfigs outputDataConfig "
    "resourceConfig retryStrategy roleArn stoppingCondition trainingJobName vpcConfig"
)
_JOB = _Thing("aws:sagemaker/trainingJob:TrainingJob", "TrainingJobName", "trainingJobName", _JOB_SETTINGS)
_JOB_RUNNING = {"InProgress", "Stopping"}


def _create_job(call: Call, inputs: Properties) -> str:
    client = call.client("sagemaker")
    request = _JOB.request(call, inputs)
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


def _delete_job(call: Call, id_: str, _inputs: Properties) -> None:
    """Stop the job if it runs, then delete it; AWS deletes training jobs that have ended."""
    data = _JOB.do("describe", call, id_)
    if data is None:
        return
    if data["TrainingJobStatus"] == "InProgress":
        _JOB.do("stop", call, id_)
    if data["TrainingJobStatus"] in _JOB_RUNNING:
        _wait_job(call, id_, call.seconds(_ENDPOINT_SECONDS))
    _JOB.do("delete", call, id_)


JOB = Kind(
    type=_JOB.type,
    local=names("timeouts"),
    properties=_JOB_SETTINGS | names("region tags timeouts"),
    create=_create_job,
    read=_JOB.read,
    update=_JOB.retag,
    delete=_delete_job,
    replace=ALL,
    tags=True,
    identify=lambda inputs: inputs["trainingJobName"],
)

# -- model -------------------------------------------------------------------------------------------

_MODEL_SETTINGS = names(
    "containers enableNetworkIsolation executionRoleArn inferenceExecutionConfig name "
    "primaryContainer vpcConfig"
)
_MODEL = _Thing("aws:sagemaker/model:Model", "ModelName", "name", _MODEL_SETTINGS)


def _create_model(call: Call, inputs: Properties) -> str:
    client = call.client("sagemaker")
    request = _MODEL.request(call, inputs)
    _assumable(lambda: client.create_model(**request))
    return str(inputs["name"])


MODEL = Kind(
    type=_MODEL.type,
    properties=_MODEL_SETTINGS | names("region tags"),
    create=_create_model,
    read=_MODEL.read,
    update=_MODEL.retag,
    delete=_MODEL.delete,
    replace=ALL,
    naming=Naming(prefix=None, maximum=63),
    tags=True,
    identify=lambda inputs: inputs["name"],
    one_of=(("primaryContainer", "containers"),),
)

# -- endpoint configuration --------------------------------------------------------------------------

_CONFIG_SETTINGS = names(
    "asyncInferenceConfig dataCaptureConfig executionRoleArn kmsKeyArn name productionVariants "
    "shadowProductionVariants"
)
_CONFIG = _Thing(
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration",
    "EndpointConfigName",
    "name",
    _CONFIG_SETTINGS,
)


def _create_config(call: Call, inputs: Properties) -> str:
    request = _CONFIG.request(call, inputs)
    for variant in request["ProductionVariants"]:
        # aws_sagemaker_endpoint_configuration: the weight of a variant is 1 when none is given.
        if "ModelName" in variant:
            variant.setdefault("InitialVariantWeight", 1.0)
    call.client("sagemaker").create_endpoint_config(**request)
    return str(inputs["name"])


CONFIG = Kind(
    type=_CONFIG.type,
    properties=_CONFIG_SETTINGS | names("namePrefix region tags"),
    create=_create_config,
    read=_CONFIG.read,
    update=_CONFIG.retag,
    delete=_CONFIG.delete,
    replace=ALL,
    naming=Naming(maximum=63),
    tags=True,
    identify=lambda inputs: inputs["name"],
)

# -- endpoint ----------------------------------------------------------------------------------------

_ENDPOINT = _Thing(
    "aws:sagemaker/endpoint:Endpoint",
    "EndpointName",
    "name",
    names("name endpointConfigName deploymentConfig"),
)
_ENDPOINT_SETTLED = {"InService", "Failed", "OutOfService", "UpdateRollbackFailed"}


def _create_endpoint(call: Call, inputs: Properties) -> str:
    call.client("sagemaker").create_endpoint(**_ENDPOINT.request(call, inputs))
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
    answer = _ENDPOINT.do("describe", call, id_)
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
    _ENDPOINT.retag(call, id_, old, new)


def _delete_endpoint(call: Call, id_: str, _inputs: Properties) -> None:
    def settled() -> bool | None:
        data = _ENDPOINT.do("describe", call, id_)
        return True if data is None or data["EndpointStatus"] not in ("Creating", "Updating") else None

    # SageMaker refuses to delete an endpoint that is being changed.
    wait_until(settled, call.seconds(_ENDPOINT_SECONDS), f"endpoint {id_} settling")
    _ENDPOINT.do("delete", call, id_)

    def vanished() -> bool | None:
        return True if _ENDPOINT.do("describe", call, id_) is None else None

    wait_until(vanished, call.seconds(_ENDPOINT_SECONDS), f"endpoint {id_} being deleted")


ENDPOINT = Kind(
    type=_ENDPOINT.type,
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
