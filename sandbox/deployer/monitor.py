"""The resource monitor and the engine service that Pulumi's Python runtime talks to, in process.

Method names and messages are those of pulumirpc's `ResourceMonitor` and `Engine` services.
"""

# ruff: noqa: N802 - the method names are the protocol's

from __future__ import annotations

from typing import Any

from google.protobuf import empty_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import engine_pb2, provider_pb2, resource_pb2

from . import goal as goals
from . import urns
from .engine import Engine, ResourceFailedError
from .events import Diagnostic
from .interface import ProviderError
from .values import Properties, from_struct, to_struct

# Secrets, resource references, alias specs and deletedWith are handled. Output values are not claimed: they
# only concern remote components. Transforms, hooks and state migrations are not claimed either: the runtime
# refuses them by name.
FEATURES = (
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
)
_OLD_FEATURE_NAMES = {"secrets", "resourceReferences", "aliasSpecs", "deletedWith"}
_RESULTS = {
    "success": resource_pb2.Result.SUCCESS,
    "fail": resource_pb2.Result.FAIL,
    "skip": resource_pb2.Result.FAIL,
}
_GET_RESOURCE = "pulumi:pulumi:getResource"


class Monitor:
    """Answers the runtime's calls with an engine; called from the runtime's worker threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def GetDeploymentInfo(self, _request: Any) -> Any:
        """Say which features of the protocol are there."""
        return resource_pb2.DeploymentInfo(supportedFeatures=FEATURES)

    def SupportsFeature(self, request: Any) -> Any:
        """Say the same to older runtimes."""
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in _OLD_FEATURE_NAMES)

    def RegisterResource(self, request: Any) -> Any:
        """Bring a resource to the wanted state."""
        try:
            goal = goals.from_request(request)
        except ValueError as error:
            urn = urns.make(
                self._engine.project.stack,
                self._engine.project.name,
                request.parent,
                request.type,
                request.name,
            )
            self._engine.fail(urn, str(error))
            return resource_pb2.RegisterResourceResponse(urn=urn, result=resource_pb2.Result.FAIL)
        outcome = self._engine.register(goal)
        return resource_pb2.RegisterResourceResponse(
            urn=outcome.urn,
            id=outcome.id,
            object=to_struct(outcome.outputs),
            result=_RESULTS[outcome.result],
        )

    def RegisterResourceOutputs(self, request: Any) -> Any:
        """Record the outputs of a component or of the stack."""
        self._engine.register_outputs(request.urn, from_struct(request.outputs))
        return empty_pb2.Empty()

    def Invoke(self, request: Any) -> Any:
        """Answer a function of a package."""
        arguments = from_struct(request.args)
        try:
            if request.tok == _GET_RESOURCE:
                result = self._get_resource(arguments)
            else:
                result = self._engine.invoke(request.tok, arguments, request.provider, request.version)
        except (ProviderError, ResourceFailedError) as error:
            failure = provider_pb2.CheckFailure(reason=str(error))
            return resource_pb2.ResourceInvokeResponse(failures=[failure])
        return resource_pb2.ResourceInvokeResponse(**{"return": to_struct(result)})

    def _get_resource(self, arguments: Properties) -> Properties:
        urn = arguments["urn"]
        resource = self._engine.registered(urn)
        if resource is None:
            raise ResourceFailedError(f"no resource {urn} has been registered")
        return {"urn": urn, "id": resource.id, "state": resource.outputs}

    def Call(self, request: Any) -> Any:
        """Refuse a method call on a resource."""
        raise NotImplementedError(f"calling {request.tok} is not supported by the sandbox's deployer")

    def ReadResource(self, request: Any) -> Any:
        """Refuse `.get(...)` of an existing resource."""
        raise NotImplementedError(
            f"{request.type} {request.name!r}: reading an existing resource with .get() "
            "is not supported by the sandbox's deployer"
        )

    def ExistsResource(self, request: Any) -> Any:
        """Refuse the question whether a resource exists."""
        raise NotImplementedError(
            f"{request.type}: resource_exists is not supported by the sandbox's deployer"
        )

    def RegisterStackTransform(self, _request: Any) -> Any:
        """Refuse stack transforms."""
        raise NotImplementedError(
            "stack transforms are not supported by the sandbox's deployer; use aws:defaultTags"
        )

    def RegisterStackInvokeTransform(self, _request: Any) -> Any:
        """Refuse invoke transforms."""
        raise NotImplementedError("invoke transforms are not supported by the sandbox's deployer")

    def RegisterResourceHook(self, request: Any) -> Any:
        """Refuse resource hooks."""
        raise NotImplementedError(
            f"the resource hook {request.name!r} is not supported by the sandbox's deployer"
        )

    def RegisterErrorHook(self, request: Any) -> Any:
        """Refuse error hooks."""
        raise NotImplementedError(
            f"the error hook {request.name!r} is not supported by the sandbox's deployer"
        )

    def RegisterPackage(self, request: Any) -> Any:
        """Refuse parameterised packages."""
        raise NotImplementedError(
            f"the parameterised package {request.name!r} is not supported by the sandbox"
        )

    def SignalAndWaitForShutdown(self, _request: Any) -> Any:
        """Let the program end."""
        return empty_pb2.Empty()


_SEVERITIES = {
    engine_pb2.DEBUG: "debug",
    engine_pb2.INFO: "info",
    engine_pb2.WARNING: "warning",
    engine_pb2.ERROR: "error",
}


class EngineService:
    """Takes the program's log messages and the root resource."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._root = ""

    def Log(self, request: Any) -> Any:
        """Pass a message on; an error message of the program makes the operation fail, as in Pulumi."""
        severity = _SEVERITIES.get(request.severity, "info")
        if severity == "error":
            self._engine.fail(request.urn, request.message)
        elif severity != "debug":
            self._engine.tell(Diagnostic(severity, request.message, request.urn))
        return empty_pb2.Empty()

    def SetRootResource(self, request: Any) -> Any:
        """Keep the URN of the stack resource."""
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()

    def GetRootResource(self, _request: Any) -> Any:
        """Return the URN of the stack resource."""
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def RequirePulumiVersion(self, _request: Any) -> Any:
        """Accept any version: this is not the Pulumi CLI."""
        return empty_pb2.Empty()
