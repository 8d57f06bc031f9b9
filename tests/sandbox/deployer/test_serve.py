"""The provider behind pulumirpc.ResourceProvider, called as the engine of the CLI calls it."""

from collections.abc import Iterator

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from sandbox.deployer.provider import serve
from sandbox.deployer.values import UNKNOWN_ON_WIRE, from_struct, to_struct
from tests.sandbox.deployer.cloud import Cloud, FakeProvider

URN = "urn:pulumi:dev::proj::fake:index:Thing::a"


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def stub(cloud: Cloud) -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    server, port = serve.start(FakeProvider(cloud))
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    server.stop(grace=None).wait()


def create(stub: provider_pb2_grpc.ResourceProviderStub, **inputs: object) -> provider_pb2.CreateResponse:
    checked = stub.Check(provider_pb2.CheckRequest(urn=URN, news=to_struct(inputs), randomSeed=b"\x01" * 8))
    assert not checked.failures
    return stub.Create(provider_pb2.CreateRequest(urn=URN, properties=checked.inputs))


def test_a_resource_lives_its_life_over_the_wire(stub, cloud: Cloud) -> None:
    made = create(stub, note="one")
    inputs = {"note": "one", "id_name": "auto-0101010"}
    news = to_struct({**inputs, "note": "two"})
    request = {
        "id": made.id,
        "urn": URN,
        "olds": made.properties,
        "old_inputs": to_struct(inputs),
        "news": news,
    }
    diff = stub.Diff(provider_pb2.DiffRequest(**request))
    assert (list(diff.diffs), list(diff.replaces)) == (["note"], [])
    updated = stub.Update(provider_pb2.UpdateRequest(**request))
    assert from_struct(updated.properties)["version"] == 2
    read = stub.Read(provider_pb2.ReadRequest(id=made.id, urn=URN, inputs=to_struct(inputs)))
    assert from_struct(read.inputs)["note"] == "two"
    stub.Delete(provider_pb2.DeleteRequest(id=made.id, urn=URN, properties=made.properties))
    assert cloud.things == {}
    assert stub.Read(provider_pb2.ReadRequest(id=made.id, urn=URN)).id == ""


def test_a_preview_creates_nothing_and_sends_unknowns(stub, cloud: Cloud) -> None:
    request = provider_pb2.CreateRequest(urn=URN, properties=to_struct({"note": "x"}), preview=True)
    assert stub.Create(request).properties["arn"] == UNKNOWN_ON_WIRE
    assert cloud.things == {}


def test_a_replacement_is_announced_with_its_reason(stub) -> None:
    old, new = to_struct({"size": 1}), to_struct({"size": 2, "fixed": "x"})
    diff = stub.Diff(provider_pb2.DiffRequest(urn=URN, old_inputs=old, olds=old, news=new))
    assert diff.deleteBeforeReplace
    assert sorted(diff.replaces) == ["fixed", "size"]
    assert diff.detailedDiff["size"].kind == provider_pb2.PropertyDiff.UPDATE_REPLACE


def test_a_half_made_resource_travels_with_its_id(stub, cloud: Cloud) -> None:
    cloud.faults["create a"] = "partial"
    with pytest.raises(grpc.RpcError) as error:
        create(stub, note="x")
    details = dict(error.value.trailing_metadata())["grpc-status-details-bin"]
    failed = provider_pb2.ErrorResourceInitFailed()
    status_pb2.Status.FromString(details).details[0].Unpack(failed)
    assert (failed.id, list(failed.reasons)) == ("thing-0", ["Throttled: a"])


def test_it_names_a_version_as_plugins_do(stub) -> None:
    assert stub.GetPluginInfo(empty_pb2.Empty()).version == "7.0.0"


def test_what_is_wrong_is_said_by_name(stub) -> None:
    checked = stub.Check(provider_pb2.CheckRequest(urn=URN, news=to_struct({"colour": "red"})))
    assert [(f.property, f.reason) for f in checked.failures] == [("colour", "unknown property of Thing")]
    with pytest.raises(grpc.RpcError, match="fake:index:shout is not known"):
        stub.Invoke(provider_pb2.InvokeRequest(tok="fake:index:shout"))
