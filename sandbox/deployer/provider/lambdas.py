"""Lambda functions and permissions (`aws_lambda_function`, `aws_lambda_permission`)."""

from __future__ import annotations

import json
from typing import Any

from sandbox.deployer.interface import ProviderError
from sandbox.deployer.values import Archive, Asset, Properties

from . import schema, wire
from .aws import Call, found, gone, retried, wait_until
from .kinds import ALL, Kind, Naming, names, retag

MISSING = ("ResourceNotFoundException", "404")
_ACTIVE_SECONDS = 600.0  # aws_lambda_function: create and update time out after ten minutes
_BUSY = ("ResourceConflictException", "TooManyRequestsException")

_CODE = names("code s3Bucket s3Key s3ObjectVersion imageUri sourceCodeHash architectures sourceKmsKeyArn")
_CONFIGURATION = names(
    "deadLetterConfig description environment ephemeralStorage handler imageConfig kmsKeyArn layers "
    "loggingConfig memorySize role runtime snapStart timeout tracingConfig vpcConfig"
)
_RESET: dict[str, Any] = {
    "description": "",
    "environment": {"Variables": {}},
    "deadLetterConfig": {"TargetArn": ""},
    "kmsKeyArn": "",
    "layers": [],
    "tracingConfig": {"Mode": "PassThrough"},
    "vpcConfig": {"SubnetIds": [], "SecurityGroupIds": []},
}

wire.RENAMES.update(
    {
        ("CreateFunctionRequest", "name"): "FunctionName",
        ("CreateFunctionRequest", "kmsKeyArn"): "KMSKeyArn",
        ("UpdateFunctionConfigurationRequest", "kmsKeyArn"): "KMSKeyArn",
        ("FunctionConfiguration", "kmsKeyArn"): "KMSKeyArn",
        ("FunctionConfiguration", "name"): "FunctionName",
        ("FunctionConfiguration", "sourceCodeSize"): "CodeSize",
        ("ImageConfig", "commands"): "Command",
        ("ImageConfig", "entryPoints"): "EntryPoint",
    }
)


def _code_request(inputs: Properties) -> dict[str, Any]:
    code = inputs.get("code")
    request: dict[str, Any] = {}
    if isinstance(code, Archive):
        request["ZipFile"] = code.zipped()
    elif isinstance(code, Asset):
        request["ZipFile"] = code.read()
    keys = {
        "s3Bucket": "S3Bucket",
        "s3Key": "S3Key",
        "s3ObjectVersion": "S3ObjectVersion",
        "imageUri": "ImageUri",
        "sourceKmsKeyArn": "SourceKMSKeyArn",
    }
    return {**request, **{member: inputs[key] for key, member in keys.items() if inputs.get(key)}}


def _create_function(call: Call, inputs: Properties) -> str:
    client = call.client("lambda")
    wanted = _CONFIGURATION | {"name", "packageType", "publish", "architectures"}
    settings = {key: value for key, value in inputs.items() if key in wanted}
    request = wire.encode(wire.input_shape("lambda", "CreateFunction"), settings)
    request["Code"] = _code_request(inputs)
    if call.tags:
        request["Tags"] = dict(call.tags)
    # The role may be too young: "The role defined for the function cannot be assumed by Lambda."
    retried(lambda: client.create_function(**request), "InvalidParameterValueException", message="role")
    id_ = call.created(inputs["name"])
    _wait_active(call, id_)
    _set_concurrency(call, id_, inputs.get("reservedConcurrentExecutions"))
    return id_


def _set_concurrency(call: Call, id_: str, number: int | None) -> None:
    if number is not None and number >= 0:
        call.client("lambda").put_function_concurrency(FunctionName=id_, ReservedConcurrentExecutions=number)


def _wait_active(call: Call, id_: str) -> None:
    def settled() -> bool | None:
        data = call.client("lambda").get_function(FunctionName=id_)["Configuration"]
        state, update = data.get("State", "Active"), data.get("LastUpdateStatus", "Successful")
        if state == "Failed" or update == "Failed":
            reason = data.get("StateReason") or data.get("LastUpdateStatusReason") or "no reason given"
            raise ProviderError(f"function {id_}: {reason}")
        return True if state in ("Active", "Inactive") and update == "Successful" else None

    wait_until(settled, call.seconds(_ACTIVE_SECONDS), f"function {id_} becoming active")


def _read_function(call: Call, id_: str, inputs: Properties) -> Properties | None:
    client = call.client("lambda")
    answer = found(lambda: client.get_function(FunctionName=id_), *MISSING)
    if answer is None:
        return None
    data = answer["Configuration"]
    shape = wire.named("lambda", "FunctionConfiguration")
    live = wire.decode_fields(shape, data, schema.of(FUNCTION.type).outputs)
    arn = data["FunctionArn"].removesuffix(":$LATEST")
    version = data.get("Version", "$LATEST")
    live.pop("code", None)
    live.update(
        arn=arn,
        version=version,
        qualifiedArn=f"{arn}:{version}",
        invokeArn=_invoke_arn(call, arn),
        qualifiedInvokeArn=_invoke_arn(call, f"{arn}:{version}"),
        reservedConcurrentExecutions=answer.get("Concurrency", {}).get("ReservedConcurrentExecutions", -1),
        tagsAll=answer.get("Tags") or {},
    )
    if not (live.get("vpcConfig") or {}).get("subnetIds"):
        live.pop("vpcConfig", None)
    given = inputs.get("sourceCodeHash")
    live["sourceCodeHash"] = given if given is not None else data.get("CodeSha256")
    return live


def _invoke_arn(call: Call, arn: str) -> str:
    region = call.aws.region
    return f"arn:{call.aws.partition}:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations"


def _update_function(call: Call, id_: str, old: Properties, new: Properties) -> None:
    client = call.client("lambda")
    changed = {key for key in {*old, *new} if old.get(key) != new.get(key)}
    configuration = changed & _CONFIGURATION
    if configuration:
        shape = wire.input_shape("lambda", "UpdateFunctionConfiguration")
        request = wire.encode(shape, {key: new[key] for key in configuration if new.get(key) is not None})
        for key in configuration:
            if new.get(key) is None and key in _RESET:
                request[wire.member_for(shape, key)] = _RESET[key]
        retried(
            lambda: client.update_function_configuration(FunctionName=id_, **request),
            *_BUSY,
            "InvalidParameterValueException",
            message="",
            seconds=5.0,
        )
        _wait_active(call, id_)
    if changed & _CODE:
        request = _code_request(new)
        if new.get("architectures"):
            request["Architectures"] = new["architectures"]
        retried(lambda: client.update_function_code(FunctionName=id_, **request), *_BUSY)
        _wait_active(call, id_)
    if "reservedConcurrentExecutions" in changed:
        number = new.get("reservedConcurrentExecutions")
        if number is None or number < 0:
            client.delete_function_concurrency(FunctionName=id_)
        else:
            _set_concurrency(call, id_, number)
    if new.get("publish") and changed & (_CODE | _CONFIGURATION | {"publish"}):
        client.publish_version(FunctionName=id_)
    set_tags(call, call.aws.arn("lambda", f"function:{id_}"), old, new)


def set_tags(call: Call, arn: str, old: Properties, new: Properties) -> None:
    """Bring the tags of a function or an event source mapping to what is wanted."""
    client = call.client("lambda")
    retag(
        old,
        new,
        lambda keys: client.untag_resource(Resource=arn, TagKeys=keys),
        lambda: client.tag_resource(Resource=arn, Tags=dict(new["tagsAll"])),
    )


def _delete_function(call: Call, id_: str, inputs: Properties) -> None:
    if inputs.get("skipDestroy"):
        return
    gone(lambda: call.client("lambda").delete_function(FunctionName=id_), *MISSING)


def _check_function(inputs: Properties) -> list[tuple[str, str]]:
    problems = []
    if inputs.get("packageType", "Zip") == "Zip":
        problems = [
            (key, "required for functions from a zip archive")
            for key in ("handler", "runtime")
            if not inputs.get(key)
        ]
    return problems


_CODE_OUTPUTS = names(
    "sourceCodeHash codeSha256 sourceCodeSize lastModified version qualifiedArn qualifiedInvokeArn"
)

FUNCTION = Kind(
    type="aws:lambda/function:Function",
    properties=_CONFIGURATION
    | _CODE
    | names("name packageType publish region reservedConcurrentExecutions skipDestroy tags"),
    create=_create_function,
    read=_read_function,
    update=_update_function,
    delete=_delete_function,
    replace=names("name packageType region"),
    naming=Naming(prefix=None, maximum=64),
    defaults={"memorySize": 128, "timeout": 3, "packageType": "Zip", "publish": False},
    volatile={
        **dict.fromkeys(_CODE, _CODE_OUTPUTS),
        **dict.fromkeys(_CONFIGURATION, names("lastModified version qualifiedArn qualifiedInvokeArn")),
    },
    tags=True,
    unordered=names("layers architectures"),
    identify=lambda inputs: inputs["name"],
    validate=_check_function,
    one_of=(("code", "s3Bucket", "imageUri"),),
    local=names("skipDestroy"),
)

_PERMISSION = {
    "action": "Action",
    "principal": "Principal",
    "sourceArn": "SourceArn",
    "sourceAccount": "SourceAccount",
    "qualifier": "Qualifier",
    "eventSourceToken": "EventSourceToken",
    "principalOrgId": "PrincipalOrgID",
    "functionUrlAuthType": "FunctionUrlAuthType",
}


def _create_permission(call: Call, inputs: Properties) -> str:
    request = {member: inputs[key] for key, member in _PERMISSION.items() if inputs.get(key) is not None}
    call.client("lambda").add_permission(
        FunctionName=inputs["function"], StatementId=inputs["statementId"], **request
    )
    return str(inputs["statementId"])


def _read_permission(call: Call, id_: str, inputs: Properties) -> Properties | None:
    client = call.client("lambda")
    target = {"FunctionName": inputs["function"]}
    if inputs.get("qualifier"):
        target["Qualifier"] = inputs["qualifier"]
    answer = found(lambda: client.get_policy(**target), *MISSING)
    if answer is None:
        return None
    statements = json.loads(answer["Policy"]).get("Statement", [])
    statement = next((item for item in statements if item.get("Sid") == id_), None)
    if statement is None:
        return None
    principal = statement.get("Principal")
    if isinstance(principal, dict):
        principal = principal.get("Service") or principal.get("AWS")
    condition = statement.get("Condition", {})
    return {
        "statementId": id_,
        "action": statement.get("Action"),
        "principal": inputs.get("principal") if str(inputs.get("principal")) in str(principal) else principal,
        "sourceArn": next(
            (v for block in condition.values() for k, v in block.items() if k.lower() == "aws:sourcearn"),
            None,
        ),
        "sourceAccount": next(
            (v for block in condition.values() for k, v in block.items() if k.lower() == "aws:sourceaccount"),
            None,
        ),
    }


def _delete_permission(call: Call, id_: str, inputs: Properties) -> None:
    target = {"FunctionName": inputs["function"], "StatementId": id_}
    if inputs.get("qualifier"):
        target["Qualifier"] = inputs["qualifier"]
    gone(lambda: call.client("lambda").remove_permission(**target), *MISSING)


PERMISSION = Kind(
    type="aws:lambda/permission:Permission",
    properties=names(" ".join(_PERMISSION)) | names("function statementId statementIdPrefix region"),
    create=_create_permission,
    read=_read_permission,
    delete=_delete_permission,
    replace=ALL,
    naming=Naming("statementId", "statementIdPrefix", 100),
    identify=lambda inputs: inputs["statementId"],
)

KINDS = (FUNCTION, PERMISSION)
