import io
import json

import pytest

from tests.upkeep.fakes import RETRAIN, START, FakeClient, FakeContext
from upkeep.aws_source import AwsSource

KEY = "accepted/flights/0a-2013-01.csv"


def _source(statuses, earlier):
    """A stack whose runs, oldest first, all worked on the one file."""
    names = list(statuses)

    def describe(executionArn):  # noqa: N803 - boto3's name
        name = executionArn.rpartition(":")[2]
        uri = f"s3://data/manifests/flights/{name}.json"
        return {
            "executionArn": executionArn,
            "name": name,
            "status": statuses[name],
            "startDate": START,
            "input": json.dumps({"run_id": name, "manifest_uri": uri}),
        }

    listed = [{"name": name, "executionArn": f"{RETRAIN}:{name}"} for name in reversed(names)]
    states = FakeClient(list_executions=lambda **_: {"executions": listed}, describe_execution=describe)
    body = json.dumps([{"prefix": "s3://data/"}, KEY])
    s3 = FakeClient(get_object=lambda **_: {"Body": io.BytesIO(body.encode())})
    there = FakeContext({"stepfunctions": states, "s3": s3})
    return AwsSource(there, there.model("flights"), frozenset(earlier))


@pytest.mark.parametrize(
    ("statuses", "earlier", "new_only", "found"),
    [
        ({"one": "RUNNING"}, [], True, "one"),
        ({"one": "SUCCEEDED"}, ["one"], True, None),
        ({"one": "SUCCEEDED"}, ["one"], False, "one"),
        ({"one": "FAILED"}, ["one"], False, None),
        ({"one": "FAILED", "two": "RUNNING"}, ["one"], False, "two"),
        ({"one": "FAILED", "two": "FAILED"}, ["one"], False, "two"),
    ],
)
def test_the_run_of_a_push_is_the_first_that_is_not_an_earlier_failure(statuses, earlier, new_only, found):
    run = _source(statuses, earlier).run_with([KEY], new_only=new_only)
    assert (run.id if run else None) == found
