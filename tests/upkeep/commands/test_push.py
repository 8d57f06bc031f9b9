import sys

import boto3
import moto
import pytest

from tests.upkeep.fakes import RAW, FakeClient, answering
from tests.upkeep.test_follow import PROGRESS_RELEASED
from tests.upkeep.test_rows import SPEC
from upkeep import checking, follow
from upkeep.follow import Result

GOOD = (
    "departure,carrier,distance,night,late\n"
    "2013-01-01T06:00:00,UA,1400,true,1\n2013-01-02T06:00:00,AA,1,false,0\n"
)


@pytest.fixture
def stack():
    """Real S3 behaviour, and a retrain machine that has not run yet."""
    with moto.mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        for name in ("data_bucket", "artifacts_bucket"):
            s3.create_bucket(Bucket=RAW[name])
        s3.put_object(Bucket=RAW["artifacts_bucket"], Key="specs/flights.json", Body=SPEC.to_json().encode())
        yield {"s3": s3, "stepfunctions": FakeClient(list_executions=answering({"executions": []}))}


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "2013-01.csv"
    path.write_text(GOOD)
    return path


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text(GOOD.replace(",", ";"))
    return path


@pytest.fixture
def ending(monkeypatch):
    """Let following end with a result at once."""

    def end(result):
        def follow_now(source, uploads, **_how):
            return result

        monkeypatch.setattr(follow, "follow", follow_now)

    return end


def arrived(stack):
    listed = stack["s3"].list_objects_v2(Bucket=RAW["data_bucket"]).get("Contents", [])
    return [item["Key"] for item in listed]


def test_a_good_file_is_pushed_and_the_place_is_shown(run, stack, good):
    said = run(["push", str(good)], **stack)
    assert said.code == 0
    assert "s3://upkeep-dev-data-000000000000/incoming/flights/2013-01.csv" in said.out
    assert arrived(stack) == ["incoming/flights/2013-01.csv"]


def test_json_names_the_files_pushed(run, stack, good):
    found = run(["push", str(good), "--json"], **stack).data
    assert found["files"][0]["key"] == "incoming/flights/2013-01.csv"


def test_a_file_the_intake_would_refuse_is_not_sent(run, stack, good, bad):
    said = run(["push", str(good), str(bad)], **stack)
    assert said.code == 4
    assert "bad.csv: the columns are separated by semicolons" in said.out
    assert "--no-check" in said.out
    assert arrived(stack) == []


def test_refusals_are_data_too(run, stack, bad):
    said = run(["push", str(bad), "--json"], **stack)
    assert (said.code, said.data["exit_code"]) == (4, 4)
    assert "semicolons" in said.data["files"][0]["reason"]


def test_the_check_can_be_left_to_the_stack(run, stack, bad):
    assert run(["push", str(bad), "--no-check"], **stack).code == 0
    assert arrived(stack) == ["incoming/flights/bad.csv"]


def test_waiting_ends_with_the_outcome_and_its_exit_code(run, stack, good, ending):
    ending(Result(outcome="released", reason="better by 0.01", progress=PROGRESS_RELEASED))
    said = run(["push", str(good), "--wait"], **stack)
    assert said.code == 0
    assert "released: version 3 answers after 15 s. better by 0.01." in said.out


def test_a_refusal_is_3_and_says_why_once(run, stack, good, ending):
    ending(Result(outcome="refused", reason="refused: worse by 0.01", progress=PROGRESS_RELEASED))
    said = run(["push", str(good), "--wait"], **stack)
    assert said.code == 3
    assert "refused after 15 s. worse by 0.01." in said.out


def test_the_outcome_is_one_json_document(run, stack, good, ending):
    ending(Result(outcome="released", reason="better", progress=PROGRESS_RELEASED))
    said = run(["push", str(good), "--wait", "--json"], **stack)
    assert (said.data["outcome"], said.data["version"]) == ("released", 3)


def test_the_check_is_the_intakes_own(good, bad):
    assert [refusal.path for refusal in checking.refused([good, bad], SPEC)] == [bad]


def test_without_duckdb_it_says_what_to_do(run, stack, good, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    said = run(["push", str(good)], **stack)
    assert said.code == 1
    assert "needs duckdb, which is not installed" in said.err
    assert "--no-check" in said.err


def test_a_stack_that_lost_its_spec_says_so_before_anything_is_sent(run, stack, good):
    stack["s3"].delete_object(Bucket=RAW["artifacts_bucket"], Key="specs/flights.json")
    said = run(["push", str(good)], **stack)
    assert said.code == 1
    assert "specs/flights.json" in said.err
    assert arrived(stack) == []
