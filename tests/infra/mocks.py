"""Runs the whole program against a recorder and gives back what it declared."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import config as pulumi_config
from pulumi.runtime import mocks, rpc, settings

from infra import stack as program

ACCOUNT, REGION = "123456789012", "eu-central-1"
IMAGE = f"492215442770.dkr.ecr.{REGION}.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
LOOKUPS: dict[str, dict[str, Any]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": ACCOUNT, "id": ACCOUNT},
    "aws:index/getRegion:getRegion": {"region": REGION, "name": REGION, "id": REGION},
    "aws:index/getPartition:getPartition": {"partition": "aws", "id": "aws"},
    "aws:sagemaker/getPrebuiltEcrImage:getPrebuiltEcrImage": {
        "registryPath": IMAGE,
        "registryId": "492215442770",
    },
}
# Which input gives a resource its physical name, where it is not `name`.
_NAME_INPUT = {
    "aws:s3/bucket:Bucket": "bucket",
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": "modelPackageGroupName",
    "aws:sagemaker/trainingJob:TrainingJob": "trainingJobName",
    "aws:cloudwatch/dashboard:Dashboard": "dashboardName",
}


# ARNs of the types whose form matters; the others get one of the usual form.
_ARNS = {
    "aws:iam/role:Role": f"arn:aws:iam::{ACCOUNT}:role/",
    "aws:kms/key:Key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/",
    "aws:lambda/function:Function": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:",
    "aws:s3/bucket:Bucket": "arn:aws:s3:::",
    "aws:sfn/stateMachine:StateMachine": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:",
    "aws:cloudwatch/logGroup:LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:",
    "aws:dynamodb/table:Table": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/",
    "aws:cloudwatch/eventRule:EventRule": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/",
}


def _arn(kind: str, name: str) -> str:
    service = kind.split(":")[1].split("/")[0]
    return _ARNS.get(kind, f"arn:aws:{service}:{REGION}:{ACCOUNT}:") + name


@dataclass(frozen=True)
class Resource:
    """One registration as the engine would see it: the provider's own property names, outputs resolved."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    parent: str
    dependencies: tuple[str, ...]
    options: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.inputs[key]

    def document(self, key: str) -> dict[str, Any]:
        """An input that is JSON text."""
        return dict(json.loads(self.inputs[key]))


class Recorder(mocks.Mocks):
    """Answers like a provider that always succeeds."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        outputs = dict(args.inputs)
        physical = args.inputs.get(_NAME_INPUT.get(args.typ, "name"), args.name)
        if args.typ.startswith("aws:"):
            outputs.setdefault("arn", _arn(args.typ, physical))
            outputs.setdefault("name", physical)
        if args.typ == "aws:kms/key:Key":
            outputs["keyId"] = f"id-of-{args.name}"
        if args.typ == "aws:s3/bucketObjectv2:BucketObjectv2":
            outputs["versionId"] = f"version-of-{args.name}"
        if args.typ == "aws:sqs/queue:Queue":
            outputs["url"] = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{physical}"
        return f"{physical}", outputs

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        assert args.token in LOOKUPS, (
            f"unexpected lookup {args.token}; the plan may only ask for {sorted(LOOKUPS)}"
        )
        return LOOKUPS[args.token], []


def _comparable(value: Any) -> Any:
    """An asset as what it holds: two of the same content are equal."""
    if isinstance(value, pulumi.StringAsset):
        return {"text": value.text}
    return {"path": value.path} if isinstance(value, pulumi.FileAsset | pulumi.FileArchive) else value


class _Monitor(mocks.MockMonitor):
    """A mock monitor that keeps the options too, which `Mocks` never sees."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self.found: list[Resource] = []
        self._lock = threading.Lock()

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the protocol's name
        given = rpc.deserialize_properties(request.object, keep_unknowns=True)
        inputs = {key: _comparable(value) for key, value in given.items()}
        resource = Resource(
            type=request.type,
            name=request.name,
            inputs=inputs,
            parent=request.parent,
            dependencies=tuple(request.dependencies),
            options={
                "protect": request.protect,
                "retain_on_delete": request.retainOnDelete,
                "ignore_changes": list(request.ignoreChanges),
            },
        )
        with self._lock:
            self.found.append(resource)
        return super().RegisterResource(request)


@dataclass(frozen=True)
class Deployment:
    """What the program declared."""

    resources: tuple[Resource, ...]
    outputs: Mapping[str, Any] = field(default_factory=dict)

    def of(self, kind: str) -> list[Resource]:
        """The provider's resources of a type by name: `aws:s3/bucket:Bucket`, or only its end, `Bucket`."""
        # Registered in an order that is another in each process.
        found = [r for r in self.custom if kind in (r.type, r.type.rpartition(":")[2])]
        return sorted(found, key=lambda resource: resource.name)

    def one(self, kind: str, name: str = "") -> Resource:
        """The resource of a type whose logical name is given, or the only one there is."""
        found = [r for r in self.of(kind) if name in ("", r.name)]
        assert len(found) == 1, f"{kind} {name}: expected one, found {[r.name for r in found]}"
        return found[0]

    def policy(self, name: str) -> dict[str, Any]:
        """The identity policy of a role, by logical name."""
        return self.one("RolePolicy", name).document("policy")

    def allowed(self, name: str) -> dict[str, list[str]]:
        """Action to resources of an identity policy."""
        found: dict[str, list[str]] = {}
        for statement in self.policy(name)["Statement"]:
            for action in statement["Action"]:
                found.setdefault(action, []).extend(statement["Resource"])
        return found

    @property
    def custom(self) -> list[Resource]:
        """Everything the provider makes."""
        return [r for r in self.resources if r.type.startswith("aws:")]


@functools.cache
def standard() -> Deployment:
    """The program with its defaults; shared, because nobody changes it."""
    return deploy()


def deploy(config: Mapping[str, Any] | None = None, stack: str = "test") -> Deployment:
    """Run the program with a stack's configuration, on an event loop of its own.

    Args:
        config: Keys with or without `upkeep:`; lists and mappings are fine.
        stack: Name of the stack.
    """
    given = {"upkeep:lambdaDependencies": "preinstalled", "aws:region": REGION}
    given |= {key if ":" in key else f"upkeep:{key}": value for key, value in (config or {}).items()}
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
    exported: dict[str, Any] = {}

    async def outputs() -> None:
        built = program.build()
        for key, value in vars(built).items():
            exported[key] = await pulumi.Output.from_input(value).future()

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        monitor = _Monitor(Recorder())
        settings.reset_options()
        pulumi_config.set_all_config(texts)
        settings.configure(
            settings.Settings(
                project="upkeep", stack=stack, monitor=monitor, engine=mocks.MockEngine(None), dry_run=False
            )
        )
        loop.run_until_complete(pulumi.runtime.run_in_stack(outputs))
    finally:
        pulumi_config.set_all_config({})
        asyncio.set_event_loop(None)
        loop.close()
    return Deployment(resources=tuple(monitor.found), outputs=exported)
