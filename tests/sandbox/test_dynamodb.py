"""DynamoDB through the gateway, as the ledger relies on it: permissions, conditions, transactions, keys."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.lifecycle import ACCOUNT, REGION
from tests.sandbox.conftest import Client, allow
from tests.sandbox.test_seam import code, key, refusal

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("faked")]

TABLE, SECRET = "ledger", "encrypted"
ARN = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table"
KEY = {"pk": {"S": "flights"}, "sk": {"S": "plan"}}
ABSENT = "attribute_not_exists(pk)"
User = Callable[..., Client]


@pytest.fixture(scope="module")
def tables(faked: Client) -> Any:
    """A client, once there are a table and one that is encrypted with a key of the account's."""
    made = faked("dynamodb")
    own = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key(faked)}
    for name, more in ((TABLE, {}), (SECRET, {"SSESpecification": own})):
        made.create_table(
            TableName=name,
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
            BillingMode="PAY_PER_REQUEST",
            **more,
        )
    return made


def item(sort_key: str, **attributes: dict[str, Any]) -> dict[str, Any]:
    return {"pk": {"S": "flights"}, "sk": {"S": sort_key}, **attributes}


@pytest.mark.parametrize(
    ("call", "about"),
    [
        ("get_item", {"Key": KEY}),
        ("put_item", {"Item": KEY}),
        ("update_item", {"Key": KEY}),
        ("delete_item", {"Key": KEY}),
        ("scan", {}),
        (
            "query",
            {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "flights"}}},
        ),
    ],
)
def test_a_caller_without_the_permission_is_refused(
    tables: Any, user: User, call: str, about: dict[str, Any]
) -> None:
    error = refusal(getattr(user()("dynamodb"), call), TableName=TABLE, **about)
    assert code(error) == "AccessDeniedException"
    action = "dynamodb:" + "".join(word.title() for word in call.split("_"))
    assert f"not authorized to perform: {action} on resource: {ARN}/{TABLE}" in str(error)
    may = user(allow(action, f"{ARN}/{TABLE}"))("dynamodb")
    getattr(may, call)(TableName=TABLE, **about)
    assert code(refusal(getattr(may, call), TableName=SECRET, **about)) == "AccessDeniedException"


def test_a_batch_is_read_with_a_permission_of_its_own(tables: Any, user: User) -> None:
    request = {"RequestItems": {TABLE: {"Keys": [KEY]}}}
    reader = user(allow("dynamodb:GetItem", f"{ARN}/{TABLE}"))("dynamodb")
    assert code(refusal(reader.batch_get_item, **request)) == "AccessDeniedException"
    user(allow("dynamodb:BatchGetItem", f"{ARN}/{TABLE}"))("dynamodb").batch_get_item(**request)


def test_of_many_who_write_where_there_is_nothing_one_succeeds(tables: Any) -> None:
    won, lost, start = [], [], threading.Barrier(8)

    def claim(number: int) -> None:
        start.wait()
        try:
            tables.put_item(
                TableName=TABLE, Item=item("claim", n={"N": str(number)}), ConditionExpression=ABSENT
            )
            won.append(number)
        except ClientError as error:
            lost.append(code(error))

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost == ["ConditionalCheckFailedException"] * 7
    found = tables.get_item(TableName=TABLE, Key=item("claim"), ConsistentRead=True)["Item"]
    assert found["n"] == {"N": str(won[0])}


def test_a_refused_condition_can_show_what_is_there(tables: Any) -> None:
    tables.put_item(TableName=TABLE, Item=item("shown", owner={"S": "me"}))
    error = refusal(
        tables.put_item,
        TableName=TABLE,
        Item=item("shown"),
        ConditionExpression=ABSENT,
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    assert error.response["Item"]["owner"] == {"S": "me"}


def test_a_transaction_is_done_whole_or_not_at_all(tables: Any) -> None:
    tables.put_item(TableName=TABLE, Item=item("there"))
    parts = [
        {"Put": {"TableName": TABLE, "Item": item(s), "ConditionExpression": ABSENT}}
        for s in ("new", "there")
    ]
    error = refusal(tables.transact_write_items, TransactItems=parts)
    assert code(error) == "TransactionCanceledException"
    reasons = [reason["Code"] for reason in error.response["CancellationReasons"]]
    assert reasons == ["None", "ConditionalCheckFailed"]
    assert "Item" not in tables.get_item(TableName=TABLE, Key=item("new"), ConsistentRead=True)
    tables.transact_write_items(TransactItems=parts[:1])
    assert "Item" in tables.get_item(TableName=TABLE, Key=item("new"), ConsistentRead=True)


def test_a_transaction_needs_the_permission_of_each_of_its_parts(tables: Any, user: User) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html."""
    update = {"TableName": TABLE, "Key": item("part"), "UpdateExpression": "SET a = :a"}
    parts = [
        {"Put": {"TableName": TABLE, "Item": item("other")}},
        {"Update": update | {"ExpressionAttributeValues": {":a": {"N": "1"}}}},
    ]
    putting = user(allow("dynamodb:PutItem", f"{ARN}/{TABLE}"))("dynamodb")
    error = refusal(putting.transact_write_items, TransactItems=parts)
    assert "not authorized to perform: dynamodb:UpdateItem" in str(error)
    both = user(allow(["dynamodb:PutItem", "dynamodb:UpdateItem"], f"{ARN}/{TABLE}"))("dynamodb")
    both.transact_write_items(TransactItems=parts)


def test_items_of_an_encrypted_table_ask_for_its_key(faked: Client, tables: Any, user: User) -> None:
    items = allow(["dynamodb:PutItem", "dynamodb:GetItem"], f"{ARN}/{SECRET}")
    error = refusal(user(items)("dynamodb").put_item, TableName=SECRET, Item=KEY)
    assert "not authorized to perform: kms:Decrypt" in str(error)
    arn = tables.describe_table(TableName=SECRET)["Table"]["SSEDescription"]["KMSMasterKeyArn"]
    through = {"kms:ViaService": f"dynamodb.{REGION}.amazonaws.com"}
    may = user(items, allow("kms:Decrypt", arn, StringEquals=through))("dynamodb")
    may.put_item(TableName=SECRET, Item=KEY)
    may.transact_write_items(TransactItems=[{"Put": {"TableName": SECRET, "Item": KEY}}])
    assert may.get_item(TableName=SECRET, Key=KEY)["Item"] == KEY


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"Item": KEY, "ReturnValues": "SOME"}, "Member must satisfy enum value set"),
        ({"Item": {"pk": {"S": "flights"}}}, "Missing the key sk"),
        ({"Item": KEY | {"n": {"N": "many"}}}, "cannot be converted to a numeric value"),
        ({"Item": KEY, "ConditionExpression": "nonsense ("}, "Invalid ConditionExpression"),
    ],
)
def test_a_malformed_call_is_refused_as_on_aws(tables: Any, about: dict[str, Any], says: str) -> None:
    error = refusal(tables.put_item, TableName=TABLE, **about)
    assert code(error) == "ValidationException"
    assert says in str(error)


def test_all_pages_of_a_query_are_all_items_in_order(tables: Any) -> None:
    for number in range(25):
        tables.put_item(TableName=TABLE, Item=item(f"page#{number:02}"))
    pages = tables.get_paginator("query").paginate(
        TableName=TABLE,
        ConsistentRead=True,
        KeyConditionExpression="pk = :p AND begins_with(sk, :s)",
        ExpressionAttributeValues={":p": {"S": "flights"}, ":s": {"S": "page#"}},
        PaginationConfig={"PageSize": 10},
    )
    counts, keys = [], []
    for page in pages:
        counts.append(len(page["Items"]))
        keys += [found["sk"]["S"] for found in page["Items"]]
    assert counts[:3] == [10, 10, 5]
    assert keys == [f"page#{number:02}" for number in range(25)]
