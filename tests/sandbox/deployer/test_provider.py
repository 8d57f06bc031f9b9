"""The provider's promises that need no AWS: what it accepts, what it compares, what it replaces."""

import dataclasses
import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ConnectionClosedError, ReadTimeoutError

from sandbox.deployer.interface import Checked, Difference, ProviderError, Subject
from sandbox.deployer.provider import schema, wire
from sandbox.deployer.provider.kinds import document, equivalent
from sandbox.deployer.provider.provider import AwsProvider
from sandbox.deployer.provider.registry import KINDS
from sandbox.deployer.values import UNKNOWN

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

# Types whose properties are sent as the request's members, and the operation that takes them.
WIRED = {
    "aws:lambda/eventSourceMapping:EventSourceMapping": ("lambda", "CreateEventSourceMapping"),
    "aws:sagemaker/trainingJob:TrainingJob": ("sagemaker", "CreateTrainingJob"),
    "aws:sagemaker/model:Model": ("sagemaker", "CreateModel"),
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration": ("sagemaker", "CreateEndpointConfig"),
    "aws:sagemaker/endpoint:Endpoint": ("sagemaker", "CreateEndpoint"),
}
NOT_SENT = {"region", "namePrefix", "tags", "timeouts"}


@pytest.fixture(scope="module")
def provider() -> AwsProvider:
    made = AwsProvider(boto3.Session("test", "test", region_name="us-east-1"), "http://127.0.0.1:1")
    made.configure({"region": "us-east-1", "defaultTags": '{"tags": {"team": "ml"}}'})
    return made


def subject(type_: str, name: str = "thing") -> Subject:
    return Subject(f"urn:pulumi:dev::proj::{type_}::{name}", type_)


def check(provider: AwsProvider, type_: str, old: Any = None, **inputs: Any) -> Checked:
    return provider.check(subject(type_), old, inputs, b"\x01\x23\x45\x67")


def diff(provider: AwsProvider, type_: str, old: dict, new: dict) -> Difference:
    outputs = {"tagsAll": {"team": "ml", **old.get("tags", {})}}
    return provider.diff(subject(type_), old, outputs, new)


def reasons(checked: Checked) -> dict[str, str]:
    return {failure.property: failure.reason for failure in checked.failures}


QUEUE = "aws:sqs/queue:Queue"
BUCKET = "aws:s3/bucket:Bucket"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
MODEL = "aws:sagemaker/model:Model"
TABLE, TABLE_ITEM = "aws:dynamodb/table:Table", "aws:dynamodb/tableItem:TableItem"


@pytest.mark.parametrize("type_", sorted(KINDS))
def test_every_property_of_every_type_is_one_of_pulumi_aws(type_: str) -> None:
    kind, known = KINDS[type_], schema.of(type_)
    for group in (kind.properties, kind.replace - {"*"}, kind.documents, kind.unordered, kind.local):
        assert group <= set(known.inputs)
    assert known.required <= kind.properties
    assert kind.tags == ("tagsAll" in known.outputs)
    for outputs in kind.volatile.values():
        assert outputs <= set(known.outputs)


@pytest.mark.parametrize("type_", sorted(WIRED))
def test_every_nested_property_has_a_member_in_the_request(type_: str) -> None:
    missing: list[str] = []

    def walk(shape: Any, kind: Any, path: str) -> None:
        inner = schema.fields_of(kind)
        element = schema.element_of(kind)
        if inner is None:
            if element is not None:
                inside = {"list": "member", "map": "value"}.get(shape.type_name)
                walk(getattr(shape, inside) if inside else shape, element, path)
            return
        if shape.type_name == "list":
            walk(shape.member, kind, path)
            return
        for key, nested in inner.items():
            member = wire.member_for(shape, key)
            if member is None:
                missing.append(f"{path}.{key}")
            else:
                walk(shape.members[member], nested, f"{path}.{key}")

    shape = wire.input_shape(*WIRED[type_])
    for key in sorted(KINDS[type_].properties - NOT_SENT):
        member = wire.member_for(shape, key)
        if member is None:
            missing.append(key)
        else:
            walk(shape.members[member], schema.of(type_).inputs[key], key)
    assert missing == []


def test_a_property_nobody_has_is_an_error_that_names_it(provider: AwsProvider) -> None:
    found = reasons(check(provider, QUEUE, colour="red"))
    assert "unknown property of aws:sqs/queue:Queue" in found["colour"]
    found = reasons(check(provider, BUCKET, website={"indexDocument": "x"}))
    assert found["website"] == f"{BUCKET} has this property, but the sandbox does not implement it"
    found = reasons(check(provider, MODEL, executionRoleArn="r", primaryContainer={"imag": "x"}))
    assert "unknown property of ModelPrimaryContainer" in found["primaryContainer.imag"]


def test_an_unknown_type_or_function_is_an_error_that_names_it(provider: AwsProvider) -> None:
    with pytest.raises(ProviderError, match="aws:ec2/vpc:Vpc is not implemented"):
        check(provider, "aws:ec2/vpc:Vpc")
    with pytest.raises(ProviderError, match="aws:ec2/getVpc:getVpc is not implemented"):
        provider.invoke("aws:ec2/getVpc:getVpc", {})
    with pytest.raises(ProviderError, match="aws:endpoints is not implemented"):
        AwsProvider(boto3.Session("a", "b")).configure({"endpoints": "[]"})


def test_missing_and_wrongly_typed_properties_are_errors(provider: AwsProvider) -> None:
    found = reasons(check(provider, "aws:sqs/queuePolicy:QueuePolicy", policy="{}"))
    assert found == {"queueUrl": "required property of aws:sqs/queuePolicy:QueuePolicy is missing"}
    found = reasons(check(provider, QUEUE, delaySeconds="soon", tags=["a"]))
    assert found == {
        "delaySeconds": "a number is expected, found 'soon'",
        "tags": "a mapping is expected, found ['a']",
    }


def test_numbers_and_booleans_take_the_form_the_type_has(provider: AwsProvider) -> None:
    inputs = check(provider, QUEUE, delaySeconds="5", fifoQueue="true", tags={"n": 3}).inputs
    assert (inputs["delaySeconds"], inputs["fifoQueue"], inputs["tags"]) == (5, True, {"n": "3"})
    assert check(provider, QUEUE, delaySeconds=UNKNOWN).failures == ()


def test_a_name_is_made_up_kept_and_marked_as_made_up(provider: AwsProvider) -> None:
    first = check(provider, QUEUE).inputs
    assert first["name"] == "thing-0123456"
    assert first["__defaults"] == ["name"]
    again = provider.check(subject(QUEUE), first, {}, b"\xff" * 8).inputs
    assert again["name"] == first["name"]
    assert provider.check(subject(QUEUE), None, {}, b"\xff" * 8).inputs["name"] == "thing-fffffff"
    assert check(provider, QUEUE, fifoQueue=True).inputs["name"] == "thing-0123456.fifo"
    assert check(provider, QUEUE, namePrefix="my-").inputs["name"] == "my-0123456"
    assert check(provider, "aws:s3/bucketObjectv2:BucketObjectv2", bucket="b").inputs["key"] == "thing"


def test_documents_are_compared_by_meaning(provider: AwsProvider) -> None:
    one = {"Statement": [{"Effect": "Allow", "Action": ["a", "b"], "Resource": "x"}], "Version": "2012-10-17"}
    same = {
        "Version": "2012-10-17",
        "Statement": [{"Action": ["b", "a"], "Resource": ["x"], "Effect": "Allow"}],
    }
    type_ = "aws:s3/bucketPolicy:BucketPolicy"
    old = {"bucket": "b", "policy": json.dumps(one)}
    assert diff(provider, type_, old, {"bucket": "b", "policy": json.dumps(same)}).changes == {}
    changed = diff(provider, type_, old, {"bucket": "b", "policy": "{}"})
    assert list(changed.changes) == ["policy"]
    assert not changed.replaces


def test_the_order_of_statements_and_of_states_is_not_lost() -> None:
    assert document('{"Statement": [1, 2]}') != document('{"Statement": [2, 1]}')
    assert document("not json") == "not json"


def test_actions_of_an_alarm_are_a_set(provider: AwsProvider) -> None:
    old = {"name": "a", "alarmActions": ["x", "y"]}
    assert diff(provider, ALARM, old, {"name": "a", "alarmActions": ["y", "x"]}).changes == {}


def test_a_new_name_replaces_create_first_and_a_kept_name_delete_first(provider: AwsProvider) -> None:
    renamed = diff(provider, QUEUE, {"name": "a"}, {"name": "b"})
    assert (renamed.replaces, renamed.delete_before_replace) == (True, False)
    fixed = diff(provider, QUEUE, {"name": "a"}, {"name": "a", "fifoQueue": True})
    assert (fixed.replaces, fixed.delete_before_replace) == (True, True)
    made_up = {"name": "m", "executionRoleArn": "r", "__defaults": ["name"]}
    changed = diff(provider, MODEL, made_up, {**made_up, "executionRoleArn": "other"})
    assert (changed.replaces, changed.delete_before_replace) == (True, False)


def test_what_only_steers_the_provider_never_replaces(provider: AwsProvider) -> None:
    job = {"trainingJobName": "j", "roleArn": "r"}
    type_ = "aws:sagemaker/trainingJob:TrainingJob"
    assert not diff(provider, type_, job, {**job, "timeouts": {"create": "1h"}}).replaces
    assert not diff(provider, type_, job, {**job, "tags": {"a": "b"}}).replaces
    assert diff(provider, type_, job, {**job, "roleArn": "other"}).replaces


def test_default_tags_join_the_tags_of_the_resource(provider: AwsProvider) -> None:
    old = {"name": "q", "tags": {"a": "1"}}
    assert diff(provider, QUEUE, old, {"name": "q", "tags": {"a": "1"}}).changes == {}
    assert list(diff(provider, QUEUE, old, {"name": "q", "tags": {"a": "2"}}).changes) == ["tags.a"]
    planned = provider.planned(subject(QUEUE), {"name": "q", "tags": {"team": "own"}})
    assert planned["tagsAll"] == {"team": "own"}
    assert planned["arn"] is UNKNOWN
    # An older default tag of the state that the configuration no longer has.
    gone = provider.diff(subject(QUEUE), {"name": "q"}, {"tagsAll": {"team": "ml", "x": "y"}}, {"name": "q"})
    assert list(gone.changes) == ["tags.x"]


ITEM = {"pk": {"S": "a"}, "n": {"N": "1"}}


def test_an_item_is_compared_by_meaning_and_replaced_only_with_its_table(provider: AwsProvider) -> None:
    old = {"tableName": "t", "hashKey": "pk", "item": json.dumps(ITEM)}
    assert diff(provider, TABLE_ITEM, old, {**old, "item": json.dumps(ITEM, indent=1)}).changes == {}
    changed = diff(provider, TABLE_ITEM, old, {**old, "item": json.dumps(ITEM | {"n": {"N": "2"}})})
    assert (list(changed.changes), changed.replaces) == (["item"], False)
    moved = diff(provider, TABLE_ITEM, old, {**old, "tableName": "other"})
    assert (moved.replaces, moved.delete_before_replace) == (True, False)
    assert diff(provider, TABLE_ITEM, old, {**old, "tableName": UNKNOWN}).replaces


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("{", "not an item in DynamoDB's JSON"),
        ('{"pk": "a"}', "an item looks like"),
        ('{"n": {"N": "1"}}', "the key pk is missing"),
    ],
)
def test_a_malformed_item_is_found_before_aws_is_asked(provider: AwsProvider, item: str, reason: str) -> None:
    found = reasons(check(provider, TABLE_ITEM, tableName="t", hashKey="pk", item=item))
    assert reason in found["item"]


def test_a_tables_attributes_are_a_set_of_its_keys(provider: AwsProvider) -> None:
    attributes = [{"name": "pk", "type": "S"}, {"name": "sk", "type": "S"}]
    keys = {"name": "t", "hashKey": "pk", "rangeKey": "sk"}
    assert reasons(check(provider, TABLE, attributes=attributes, **keys)) == {}
    turned = diff(
        provider, TABLE, {**keys, "attributes": attributes}, {**keys, "attributes": attributes[::-1]}
    )
    assert turned.changes == {}
    found = reasons(check(provider, TABLE, attributes=[*attributes, {"name": "x", "type": "S"}], **keys))
    assert found["attributes"] == "all attributes must be indexed; x is no key"
    found = reasons(check(provider, TABLE, attributes=attributes[:1], **keys))
    assert found["attributes"] == "the key sk is not among them"
    on_demand = {"billingMode": "PAY_PER_REQUEST", "readCapacity": 1}
    assert "readCapacity" in reasons(check(provider, TABLE, attributes=attributes, **keys, **on_demand))
    assert "one of hashKey" in reasons(check(provider, TABLE, name="t"))["hashKey"]


@pytest.mark.parametrize("key", ["name", "hashKey", "rangeKey"])
def test_another_key_or_name_is_another_table(provider: AwsProvider, key: str) -> None:
    old = {"name": "t", "hashKey": "pk", "rangeKey": "sk", "billingMode": "PAY_PER_REQUEST"}
    assert diff(provider, TABLE, old, {**old, key: "other"}).replaces
    protected = {**old, "deletionProtectionEnabled": True, "ttl": {"enabled": True, "attributeName": "e"}}
    assert not diff(provider, TABLE, old, protected).replaces


def test_an_update_of_the_code_makes_its_outputs_unknown(provider: AwsProvider) -> None:
    type_ = "aws:lambda/function:Function"
    old = {"name": "f", "handler": "a.b", "s3Key": "1"}
    assert "sourceCodeHash" in diff(provider, type_, old, {**old, "s3Key": "2"}).volatile
    assert "sourceCodeHash" not in diff(provider, type_, old, {**old, "handler": "c.d"}).volatile


@pytest.mark.parametrize(
    ("wanted", "live", "same"),
    [
        ({"a": 1}, {"a": 1, "added by AWS": 2}, True),
        ([{"a": 1}, {"b": 2}], [{"b": 2, "id": "x"}, {"a": 1}], True),
        ([1], [1, 2], False),
        (30, "30", True),
        (False, None, True),
        ("", None, True),
        ({"a": 1}, {}, False),
        (True, False, False),
    ],
)
def test_what_aws_adds_by_itself_is_no_difference(wanted: Any, live: Any, same: bool) -> None:
    assert equivalent(wanted, live) is same


def test_the_prebuilt_image_is_the_registry_of_the_region(provider: AwsProvider) -> None:
    token = "aws:sagemaker/getPrebuiltEcrImage:getPrebuiltEcrImage"
    arguments = {"repositoryName": "sagemaker-scikit-learn", "imageTag": "1.9-0-cpu-py3"}
    expected = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
    assert provider.invoke(token, arguments)["registryPath"] == expected
    abroad = provider.invoke(token, {**arguments, "region": "eu-central-1"})["registryPath"]
    assert abroad.startswith("492215442770.dkr.ecr.eu-central-1.")
    with pytest.raises(ProviderError, match="'sagemaker-tensorflow' found"):
        provider.invoke(token, {"repositoryName": "sagemaker-tensorflow"})


@pytest.mark.parametrize("unheard", [ReadTimeoutError, ConnectionClosedError])
def test_a_creation_whose_end_nobody_heard_is_not_said_to_have_failed(
    provider: AwsProvider, monkeypatch: pytest.MonkeyPatch, unheard: type[BotoCoreError]
) -> None:
    def create(_call: Any, _inputs: Any) -> str:
        raise unheard(endpoint_url="http://127.0.0.1:1")

    monkeypatch.setitem(KINDS, QUEUE, dataclasses.replace(KINDS[QUEUE], create=create))
    with pytest.raises(unheard):
        provider.create(subject(QUEUE), {"name": "q"})
