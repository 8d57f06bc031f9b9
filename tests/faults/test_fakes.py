"""The account in memory answers as moto's does, to thousands of random calls of the same clients.

moto's own differences from AWS are listed where they matter.
"""

import random
from contextlib import contextmanager
from datetime import datetime

import pytest
from botocore.exceptions import ClientError, ParamValidationError, ReadTimeoutError
from moto import mock_aws

from tests.faults import account as accounts
from tests.faults.account import Account, Clock
from tests.faults.dynamodb import DynamoDB
from tests.faults.machines import SageMaker, States
from tests.faults.nemesis import KILL_AFTER, LOSE, THROTTLE, Nemesis, Strike
from tests.faults.queues import SNS, SQS, Queue
from tests.faults.s3 import S3
from tests.faults.world import CLIENTS, World
from training.aws import client

BUCKET, TABLE = "upkeep-conformance", "conformance"
SEEDS, CALLS = 5, 60


@contextmanager
def entered(account):
    accounts.enter(account)
    try:
        yield
    finally:
        accounts.enter(None)
        for service in CLIENTS:
            accounts.detach(client(service))


@pytest.fixture
def both(monkeypatch):
    """Ask two accounts the same: moto's, and the one in memory; `own` is what each is asked besides."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    clock = Clock(datetime.now().timestamp())  # noqa: DTZ005 - seconds since 1970
    memory = Account(clock, {"s3": S3(clock), "dynamodb": DynamoDB(clock)})
    memory.services["s3"].buckets[BUCKET] = {}
    memory.services["dynamodb"].tables[TABLE] = {}

    def ask(service, operation, params, own=({}, {})):
        answers = []
        for chosen, more in zip((None, memory), own, strict=True):
            with entered(chosen):
                try:
                    answers.append(getattr(accounts.attach(client(service)), operation)(**params, **more))
                except ClientError as error:
                    answers.append(error.response)
        return answers

    with mock_aws():
        s3 = client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        keys = [("pk", "HASH"), ("sk", "RANGE")]
        client("dynamodb").create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
            BillingMode="PAY_PER_REQUEST",
        )
        yield ask


CONDITIONS = (
    "attribute_not_exists(pk)",
    "attribute_exists(#a)",
    "attribute_not_exists(#a) OR #b < :n",
    "#a = :s AND (#b >= :n OR #b = :m)",
    "NOT #a = :s",
    "#a <> :s",
    "#b BETWEEN :n AND :m",
    "#a IN (:s, :t)",
    "begins_with(#a, :s) AND attribute_exists(pk)",
    "attribute_not_exists(#a) OR (#a = :s AND #b <= :m) OR #a = :t",
    "attribute_exists(#c.#b)",
)
UPDATES = (
    "SET #a = :s",
    "SET #b = :n REMOVE #a",
    "SET #b = if_not_exists(#b, :n) + :m",
    "SET #a = :s, #b = :m",
    "ADD #b :m",
    "REMOVE #a, #b",
    "SET #c = :map",
)


def words(source, *texts):
    """The names and values that expressions use, and no others: DynamoDB refuses unused ones."""
    text = " ".join(texts)
    values = {
        ":s": {"S": source.choice(["x", "xy", "y"])},
        ":t": {"S": "y"},
        ":n": {"N": str(source.randint(0, 3))},
        ":m": {"N": str(source.randint(2, 9))},
        ":map": {"M": {"b": {"N": "1"}}},
    }
    used = {
        name: value
        for name, value in values.items()
        if name in text.replace(",", " ").split() or name in text
    }
    if ":map" in text and ":m" not in text.replace(":map", ""):
        used.pop(":m")
    names = {f"#{name}": name for name in "abc" if f"#{name}" in text}
    return ({"ExpressionAttributeNames": names} if names else {}) | (
        {"ExpressionAttributeValues": used} if used else {}
    )


def random_write(source, *, returns=True):
    """A put, update or delete of one of a few items, mostly with a condition."""
    key = {"pk": {"S": "m"}, "sk": {"S": f"k{source.randint(0, 3)}"}}
    kind = source.choice(["put_item", "update_item", "delete_item"])
    condition = source.choice([*CONDITIONS, ""])
    update = source.choice(UPDATES) if kind == "update_item" else ""
    params = {"TableName": TABLE} | words(source, condition, update)
    if condition:
        params["ConditionExpression"] = condition
        if returns and source.random() < 0.5:
            params["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    if kind == "put_item":
        item = dict(key)
        if source.random() < 0.7:
            item["a"] = {"S": source.choice(["x", "xy", "y"])}
        if source.random() < 0.7:
            item["b"] = {"N": str(source.randint(0, 5))}
        return kind, params | {"Item": item}
    if update:
        params["UpdateExpression"] = update
    if returns and kind == "update_item":
        params["ReturnValues"] = source.choice(["NONE", "ALL_OLD", "ALL_NEW"])
    return kind, params | {"Key": key}


def same(answer):
    """What must agree: the error's code, or all but the metadata."""
    if "Error" in answer:
        return {"Error": answer["Error"]["Code"], "Item": answer.get("Item")}
    extra = ("ResponseMetadata", "ConsumedCapacity")
    return {key: value for key, value in answer.items() if key not in extra and value != {}}


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_ledger_in_memory_answers_as_moto_does(both, seed):
    source = random.Random(seed)
    for _ in range(CALLS):
        if source.random() < 0.2:
            actions = {}
            for _ in range(source.randint(1, 3)):
                kind, params = random_write(source, returns=False)
                name = kind.removesuffix("_item").title()
                if name == "Update" and not params.get("UpdateExpression"):
                    continue
                actions[(params.get("Key") or params["Item"])["sk"]["S"]] = {name: params}
            moto, ours = both("dynamodb", "transact_write_items", {"TransactItems": list(actions.values())})
            assert same(moto) == same(ours)
            reasons = [
                [reason["Code"] for reason in answer.get("CancellationReasons", [])]
                for answer in (moto, ours)
            ]
            assert reasons[0] == reasons[1]
        else:
            kind, params = random_write(source)
            moto, ours = both("dynamodb", kind, params)
            assert same(moto) == same(ours), (kind, params)
        query = {
            "TableName": TABLE,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :sk)",
            "ExpressionAttributeValues": {":pk": {"S": "m"}, ":sk": {"S": "k"}},
            "ConsistentRead": True,
        }
        moto, ours = both("dynamodb", "query", query)
        assert moto["Items"] == ours["Items"]


def described(answer):
    """S3's answers without what two accounts cannot share."""
    if "Error" in answer:
        return answer["Error"]["Code"]
    kept = {
        key: answer[key] for key in ("ETag", "ContentLength", "Metadata", "DeleteMarker") if key in answer
    }
    if "Body" in answer:
        kept["Body"] = answer["Body"].read()
    return kept


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_buckets_in_memory_answer_as_motos_do(both, seed):
    source = random.Random(seed)
    versions = {}  # key to pairs of version ids, moto's and ours
    for number in range(CALLS):
        key = f"incoming/toy/{source.randint(0, 3)}.csv"
        known = versions.setdefault(key, [])
        kind = source.choice(["put", "put once", "get", "head", "copy", "delete", "delete version", "list"])
        old = source.choice(known) if known and source.random() < 0.6 else None
        pinned = [{"VersionId": version} if version else {} for version in (old or (None, None))]
        if kind.startswith("put"):
            params = {"Bucket": BUCKET, "Key": key, "Body": f"{number}", "Metadata": {"rows": str(number)}}
            if kind == "put once":
                params["IfNoneMatch"] = "*"
            answers = both("s3", "put_object", params)
            if "VersionId" in answers[0]:
                known.append((answers[0]["VersionId"], answers[1]["VersionId"]))
        elif kind in ("get", "head"):
            answers = both("s3", f"{kind}_object", {"Bucket": BUCKET, "Key": key}, pinned)
        elif kind == "copy":
            sources = [{"CopySource": {"Bucket": BUCKET, "Key": key, **pin}} for pin in pinned]
            params = {"Bucket": BUCKET, "Key": "accepted/copy", "MetadataDirective": "REPLACE"}
            answers = both("s3", "copy_object", params, sources)
            codes = [answer.get("Error", {}).get("Code") for answer in answers]
            assert codes[0] == codes[1], (key, old)
            continue
        elif kind == "delete":
            if not known:
                continue  # AWS makes a delete marker where nothing was, moto does not
            answers = both("s3", "delete_object", {"Bucket": BUCKET, "Key": key})
        elif kind == "delete version":
            if not old:
                continue
            answers = both("s3", "delete_object", {"Bucket": BUCKET, "Key": key}, pinned)
            known.remove(old)
            assert "Error" not in answers[0] | answers[1]
            continue
        else:
            answers = both("s3", "list_objects_v2", {"Bucket": BUCKET, "Prefix": "incoming/", "MaxKeys": 2})
            assert [item["Key"] for item in answers[0].get("Contents", [])] == [
                item["Key"] for item in answers[1].get("Contents", [])
            ]
            assert answers[0]["IsTruncated"] == answers[1]["IsTruncated"]
            continue
        assert described(answers[0]) == described(answers[1]), (kind, key, old)


def test_a_call_that_aws_would_not_understand_is_refused_before_it_is_made():
    clock = Clock(0)
    with entered(Account(clock, {"s3": S3(clock)})), pytest.raises(ParamValidationError):
        accounts.attach(client("s3")).put_object(Bucket=BUCKET)


def test_pages_are_short_so_that_nobody_reads_only_the_first():
    clock = Clock(0)
    dynamodb = DynamoDB(clock)
    dynamodb.tables[TABLE] = {}
    with entered(Account(clock, {"dynamodb": dynamodb})):
        asked = accounts.attach(client("dynamodb"))
        for number in range(25):
            asked.put_item(TableName=TABLE, Item={"pk": {"S": "m"}, "sk": {"S": f"{number:02}"}})
        pages = list(
            asked.get_paginator("query").paginate(
                TableName=TABLE,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": "m"}},
            )
        )
    assert [page["Count"] for page in pages] == [10, 10, 5]


def test_a_started_execution_may_be_started_again_with_the_same_input_while_it_runs():
    clock = Clock(0)
    states = States(clock)
    states.machines.add("train")
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:train"
    with entered(Account(clock, {"stepfunctions": states})):
        asked = accounts.attach(client("stepfunctions"))
        first = asked.start_execution(stateMachineArn=machine, name="a", input='{"b": 1}')
        again = asked.start_execution(stateMachineArn=machine, name="a", input='{"b":1}')
        assert first["executionArn"] == again["executionArn"]
        with pytest.raises(asked.exceptions.ExecutionAlreadyExists):
            asked.start_execution(stateMachineArn=machine, name="a", input="{}")
        states.executions[first["executionArn"]].status = "FAILED"
        with pytest.raises(asked.exceptions.ExecutionAlreadyExists):
            asked.start_execution(stateMachineArn=machine, name="a", input='{"b": 1}')


def test_a_message_received_too_often_goes_to_the_dead_letters():
    clock = Clock(0)
    dead = Queue("dead", 30)
    queue = Queue("work", 30, max_receives=2, dead=dead)
    message = SQS(clock).message("x")
    queue.add(message)
    assert queue.receive(message, 0)
    assert queue.receive(message, 0)
    assert not queue.receive(message, 0)
    assert dead.messages == [message]
    assert not queue.messages


def put(world):
    """Let a function put one item under a condition."""
    from tests.faults.lanes import Lane

    item = {"pk": {"S": "m"}, "sk": {"S": "a"}}
    asked = client("dynamodb")
    lane = Lane(
        "test",
        lambda: asked.put_item(
            TableName="upkeep-test-ledger", Item=item, ConditionExpression="attribute_not_exists(pk)"
        ),
        world.clock.now + 100,
    )
    world.account.lane = lane
    while not lane.ended:
        world.clock.now = max(world.clock.now, lane.wake_at)
        lane.resume()
    world.account.lane = None
    return lane


def test_an_answer_that_is_lost_makes_the_client_repeat_a_call_that_was_carried_out():
    with World(Nemesis(strikes=[Strike(1, LOSE)])) as world:
        lane = put(world)
    assert type(lane.error).__name__ == "ConditionalCheckFailedException"
    assert ("m", "a") in world.dynamodb.tables["upkeep-test-ledger"]


def test_a_client_gives_up_after_the_attempts_it_is_configured_with():
    with World(Nemesis(rates={THROTTLE: 1.0})) as world:
        lane = put(world)
        assert world.account.attempts == 4
        assert lane.error.response["Error"]["Code"] == "ThrottlingException"
        world.nemesis.rates = {LOSE: 1.0}
        assert isinstance(put(world).error, ReadTimeoutError)


def test_a_function_that_is_killed_after_a_call_has_made_it():
    with World(Nemesis(strikes=[Strike(1, KILL_AFTER)])) as world:
        lane = put(world)
    assert type(lane.error).__name__ == "Killed"
    assert ("m", "a") in world.dynamodb.tables["upkeep-test-ledger"]


def test_sns_refuses_a_subject_it_would_refuse():
    clock = Clock(0)
    with entered(Account(clock, {"sns": SNS(clock), "sagemaker": SageMaker()})):
        asked = accounts.attach(client("sns"))
        with pytest.raises(ClientError, match="Subject"):
            asked.publish(TopicArn="arn:aws:sns:us-east-1:123456789012:t", Subject="x" * 101, Message="m")
