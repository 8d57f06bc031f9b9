"""Serves the provider to the real `pulumi` CLI: `PULUMI_DEBUG_PROVIDERS=aws:<port> pulumi up`.

Started with `python -m sandbox.deployer.provider.serve`; prints its port, as provider plugins do. Where AWS
is, says AWS_ENDPOINT_URL. Source of the service: pulumi's `provider.proto`.
"""

# ruff: noqa: N802 - the method names are the protocol's

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import grpc  # type: ignore[import-untyped]
from google.protobuf import any_pb2, empty_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from sandbox.deployer import paths, urns
from sandbox.deployer.interface import Difference, PartialError, Provider, ProviderError, Subject
from sandbox.deployer.values import Properties, from_struct, plain, to_struct

from .provider import AwsProvider

_CONFIG_PREFIX = "aws:config:"
# What pulumi itself puts into the configuration of a provider.
_OWN_CONFIG = {"version", "pluginDownloadURL", "skipMetadataApiCheck", "skipRegionValidation"}
_OWN_CONFIG |= {"skipCredentialsValidation"}
_KINDS = {
    "add": (provider_pb2.PropertyDiff.ADD, provider_pb2.PropertyDiff.ADD_REPLACE),
    "delete": (provider_pb2.PropertyDiff.DELETE, provider_pb2.PropertyDiff.DELETE_REPLACE),
    "update": (provider_pb2.PropertyDiff.UPDATE, provider_pb2.PropertyDiff.UPDATE_REPLACE),
}
_MAX_THREADS = 32


class Service(provider_pb2_grpc.ResourceProviderServicer):
    """pulumirpc.ResourceProvider over a provider of ours."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def GetPluginInfo(self, _request: Any, _context: Any) -> Any:
        """Name a version."""
        return plugin_pb2.PluginInfo(version="7.0.0")

    def CheckConfig(self, request: Any, _context: Any) -> Any:
        """Take the configuration as it is; `Configure` refuses what is not supported."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, _request: Any, _context: Any) -> Any:
        """Never replace the provider itself."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_UNKNOWN)

    def Configure(self, request: Any, context: Any) -> Any:
        """Take region and default tags."""
        config = {key.removeprefix(_CONFIG_PREFIX): value for key, value in request.variables.items()}
        wanted = {key: value for key, value in config.items() if key not in _OWN_CONFIG}
        _answered(context, lambda: self._provider.configure(wanted))
        return provider_pb2.ConfigureResponse(supportsPreview=True, acceptSecrets=False)

    def Check(self, request: Any, context: Any) -> Any:
        """Validate and complete inputs."""
        old, new = plain(from_struct(request.olds)), plain(from_struct(request.news))
        seed = request.randomSeed or os.urandom(8)
        checked = _answered(context, lambda: self._provider.check(_subject(request), old or None, new, seed))
        failures = [provider_pb2.CheckFailure(property=f.property, reason=f.reason) for f in checked.failures]
        return provider_pb2.CheckResponse(inputs=to_struct(checked.inputs), failures=failures)

    def Diff(self, request: Any, context: Any) -> Any:
        """Compare."""
        old, outputs = plain(from_struct(request.old_inputs)), plain(from_struct(request.olds))
        new = paths.keep_old(plain(from_struct(request.news)), old, list(request.ignoreChanges))
        found = _answered(context, lambda: self._provider.diff(_subject(request), old, outputs, new))
        return _difference(found)

    def Create(self, request: Any, context: Any) -> Any:
        """Create, or say what is known before."""
        inputs, subject = plain(from_struct(request.properties)), _subject(request)
        if request.preview:
            planned = _answered(context, lambda: self._provider.planned(subject, inputs))
            return provider_pb2.CreateResponse(properties=to_struct(planned))
        id_, outputs = _answered(context, lambda: self._provider.create(subject, inputs), inputs)
        return provider_pb2.CreateResponse(id=id_, properties=to_struct(outputs))

    def Read(self, request: Any, context: Any) -> Any:
        """Read; an empty answer says that it is gone."""
        inputs = plain(from_struct(request.inputs))
        present = _answered(context, lambda: self._provider.read(_subject(request), inputs))
        if present is None:
            return provider_pb2.ReadResponse()
        live, outputs = present
        return provider_pb2.ReadResponse(id=request.id, inputs=to_struct(live), properties=to_struct(outputs))

    def Update(self, request: Any, context: Any) -> Any:
        """Change in place, or say what is known before."""
        old, outputs = plain(from_struct(request.old_inputs)), plain(from_struct(request.olds))
        new = paths.keep_old(plain(from_struct(request.news)), old, list(request.ignoreChanges))
        subject = _subject(request)
        if request.preview:
            volatile = self._provider.diff(subject, old, outputs, new).volatile
            kept = {key: value for key, value in {**outputs, **new}.items() if key not in volatile}
            return provider_pb2.UpdateResponse(properties=to_struct(kept))
        after = _answered(context, lambda: self._provider.update(subject, old, outputs, new))
        return provider_pb2.UpdateResponse(properties=to_struct(after))

    def Delete(self, request: Any, context: Any) -> Any:
        """Delete."""
        inputs, outputs = plain(from_struct(request.old_inputs)), plain(from_struct(request.properties))
        _answered(context, lambda: self._provider.delete(_subject(request), inputs, outputs))
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:
        """Answer a function."""
        arguments = plain(from_struct(request.args))
        answer = _answered(context, lambda: self._provider.invoke(request.tok, arguments))
        return provider_pb2.InvokeResponse(**{"return": to_struct(answer)})

    def Cancel(self, _request: Any, _context: Any) -> Any:
        """Let running operations end; each has its own limits."""
        return empty_pb2.Empty()


def _subject(request: Any) -> Subject:
    timeout = getattr(request, "timeout", 0.0) or None
    return Subject(request.urn, urns.type_of(request.urn), getattr(request, "id", ""), timeout)


def _difference(found: Difference) -> Any:
    some, none = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
    detailed = {
        path: provider_pb2.PropertyDiff(kind=_KINDS[change.kind][change.forces_replacement], inputDiff=True)
        for path, change in found.changes.items()
    }
    return provider_pb2.DiffResponse(
        changes=some if found.changes else none,
        replaces=[path for path, change in found.changes.items() if change.forces_replacement],
        diffs=sorted({str(paths.parse(path)[0]) for path in found.changes}),
        detailedDiff=detailed,
        hasDetailedDiff=True,
        deleteBeforeReplace=found.delete_before_replace,
    )


def _answered(context: Any, call: Callable[[], Any], inputs: Properties | None = None) -> Any:
    """Call the provider; its errors become the protocol's, with what exists already in the details."""
    try:
        return call()
    except PartialError as error:
        detail = any_pb2.Any()
        detail.Pack(
            provider_pb2.ErrorResourceInitFailed(
                id=error.id,
                properties=to_struct(error.outputs),
                reasons=[str(error)],
                inputs=to_struct(inputs or {}),
            )
        )
        status = status_pb2.Status(
            code=grpc.StatusCode.UNKNOWN.value[0], message=str(error), details=[detail]
        )
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, str(error))
    except (ProviderError, ValueError) as error:
        context.abort(grpc.StatusCode.UNKNOWN, str(error))


def start(provider: Provider, port: int = 0) -> tuple[grpc.Server, int]:
    """Serve a provider on 127.0.0.1; return the server and its port."""
    server = grpc.server(ThreadPoolExecutor(_MAX_THREADS))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Service(provider), server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, bound


def main() -> None:
    """Serve until interrupted."""
    provider = AwsProvider(boto3.Session(), os.environ.get("AWS_ENDPOINT_URL"))
    server, port = start(provider, int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.stop(grace=5).wait()


if __name__ == "__main__":
    main()
