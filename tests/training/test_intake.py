"""Good files are trained on once, bad ones are put aside with a reason, and nothing is lost on the way."""

import hashlib
import json
import re

import pytest
from botocore.exceptions import ClientError

from tests.training.broken import BROKEN
from tests.training.examples import declare, lines, text
from tests.training.lambdas import ACCOUNT, ARTIFACTS, CONTEXT, DATA, PREFIX, REGION, emitted
from training import checks, intake
from training.aws import client
from training.manifest import Manifest

GOOD = text(lines(30))


class States:
    """Step Functions as intake sees it: names of executions are unique."""

    def __init__(self):
        self.exceptions = client("stepfunctions").exceptions
        self.runs = []
        self.failures = []
        self.status = "RUNNING"

    def start_execution(self, *, stateMachineArn, name, input):  # noqa: A002, N803 - boto3's names
        if self.failures:
            raise self.failures.pop()
        if name in [run["run_id"] for run in self.runs]:
            raise ClientError({"Error": {"Code": "ExecutionAlreadyExists"}}, "StartExecution")
        self.runs.append(json.loads(input) | {"machine": stateMachineArn})
        assert name == self.runs[-1]["run_id"]

    def describe_execution(self, *, executionArn):  # noqa: N803
        *_, machine, name = executionArn.split(":")
        assert executionArn == f"arn:aws:states:{REGION}:{ACCOUNT}:execution:{machine}:{name}"
        assert name in [run["run_id"] for run in self.runs]
        return {"status": self.status}


@pytest.fixture
def states(store, monkeypatch):
    store.put("specs/toy.json", declare().to_json(), ARTIFACTS)
    store.put("specs/other.json", declare(name="other").to_json(), ARTIFACTS)
    states = States()
    original = intake.client
    monkeypatch.setattr(intake, "client", lambda name: states if name == "stepfunctions" else original(name))
    return states


def _message(key, number=1, **changes):
    event = {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "account": ACCOUNT,
        "detail": {"bucket": {"name": DATA}, "object": {"key": key, "size": 999, "version-id": "forged"}},
    } | changes
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{PREFIX}-intake"
    return {"messageId": str(number), "eventSourceARN": arn, "body": json.dumps(event)}


def _handle(*messages):
    result = intake.handler({"Records": list(messages)}, CONTEXT)
    return [item["itemIdentifier"] for item in result["batchItemFailures"]]


def _push(store, key, content=GOOD):
    store.put(key, content)
    return _handle(_message(key))


def test_a_good_file_is_accepted_under_its_digest_and_a_training_is_started(store, states):
    assert _push(store, "incoming/toy/jan.csv") == []
    digest = hashlib.sha256(GOOD.encode()).hexdigest()
    key = f"accepted/toy/{digest[:16]}-jan.csv"
    assert store.keys("incoming/") == []
    assert store.keys("accepted/") == [key]
    assert store.get(key) == GOOD.encode()
    manifest = Manifest.of(DATA, [key])
    uri = f"manifests/toy/{manifest.run_id}.json"
    assert store.json(uri) == [{"prefix": f"s3://{DATA}/"}, key]
    assert states.runs == [
        {
            "model": "toy",
            "run_id": manifest.run_id,
            "manifest_uri": f"s3://{DATA}/{uri}",
            "rows": 30,
            "files": 1,
            "trigger": "data",
            "machine": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{PREFIX}-toy-retrain",
        }
    ]


def test_the_next_file_is_trained_on_together_with_the_earlier_ones(store, states):
    _push(store, "incoming/toy/jan.csv")
    _push(store, "incoming/toy/feb.csv", text(lines(20, first_hour=30)))
    assert [(run["rows"], run["files"]) for run in states.runs] == [(30, 1), (50, 2)]
    assert len({run["run_id"] for run in states.runs}) == 2


def test_files_of_one_batch_are_one_training_per_model(store, states):
    store.put("incoming/toy/a.csv", GOOD)
    store.put("incoming/toy/b.csv", text(lines(20, first_hour=30)))
    store.put("incoming/other/c.csv", GOOD)
    keys = ["incoming/toy/a.csv", "incoming/toy/b.csv", "incoming/other/c.csv"]
    assert _handle(*(_message(key, i) for i, key in enumerate(keys))) == []
    assert sorted((run["model"], run["files"]) for run in states.runs) == [("other", 1), ("toy", 2)]


def test_the_same_bytes_twice_are_one_object_and_one_training(store, states):
    _push(store, "incoming/toy/jan.csv")
    assert _push(store, "incoming/toy/january again.csv") == []
    assert len(store.keys("accepted/")) == 1
    assert store.keys("incoming/") == []
    assert len(states.runs) == 1


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "ABORTED"])
def test_a_data_set_whose_run_failed_is_tried_again_when_its_file_is_pushed_again(store, states, status):
    _push(store, "incoming/toy/jan.csv")
    states.status = status
    assert _push(store, "incoming/toy/jan.csv") == []
    first, second = states.runs
    assert first | {"run_id": ""} == second | {"run_id": ""}, "the same data"
    assert first["run_id"] != second["run_id"], "names of executions and training jobs are never used twice"
    states.status = "RUNNING"
    _push(store, "incoming/toy/jan.csv")
    assert len(states.runs) == 2


def test_a_data_set_that_always_fails_is_given_up(store, states, monkeypatch):
    monkeypatch.setattr(intake, "MAX_ATTEMPTS", 2)
    states.status = "FAILED"
    assert [_push(store, "incoming/toy/jan.csv") for _ in range(4)] == [[]] * 4
    assert len(states.runs) == 2


def test_a_message_delivered_twice_changes_nothing(store, states):
    store.put("incoming/toy/jan.csv", GOOD)
    message = _message("incoming/toy/jan.csv")
    assert _handle(message, message) == []
    assert _handle(message) == []
    assert (len(store.keys("accepted/")), len(states.runs)) == (1, 1)


def test_a_training_that_could_not_be_started_is_started_by_the_next_delivery(store, states):
    states.failures = [RuntimeError("throttled")]
    assert _push(store, "incoming/toy/jan.csv") == ["1"]
    assert store.keys("incoming/") == []  # the file is safe, only the start is missing
    assert states.runs == []
    assert _handle(_message("incoming/toy/jan.csv")) == []
    assert [run["files"] for run in states.runs] == [1]


@pytest.mark.parametrize(
    "name", ["empty", "semicolons", "column missing", "text for a number", "one label only"]
)
def test_a_bad_file_is_quarantined_with_a_reason_and_nothing_is_trained(store, states, name):
    content, rule, words = BROKEN[name]
    content = content if isinstance(content, bytes) else content.encode()
    assert _push(store, "incoming/toy/bad.csv", content) == []
    file, reason_file = store.keys("quarantine/")
    assert re.fullmatch(r"quarantine/toy/\d{8}T\d{6}Z-bad\.csv", file)
    assert reason_file == file + ".reason.json"
    assert store.get(file) == content
    reason = store.json(reason_file)
    assert words in reason["reason"]
    assert reason["details"][0]["rule"] == rule
    assert reason["sha256"] == hashlib.sha256(content).hexdigest()
    assert reason["spec_digest"] == declare().digest()
    assert (reason["schema"], reason["object"], reason["model"]) == (1, "incoming/toy/bad.csv", "toy")
    assert (reason["size"], set(reason)) == (
        len(content),
        {
            "schema",
            "object",
            "version_id",
            "sha256",
            "size",
            "model",
            "reason",
            "details",
            "spec_digest",
            "at",
        },
    )
    assert store.keys("incoming/") == store.keys("accepted/") == states.runs == []


def test_a_bad_file_does_not_stop_a_good_one(store, states):
    store.put("incoming/toy/bad.csv", "nothing")
    store.put("incoming/toy/good.csv", GOOD)
    assert _handle(_message("incoming/toy/bad.csv", 1), _message("incoming/toy/good.csv", 2)) == []
    assert (len(store.keys("quarantine/")), len(store.keys("accepted/"))) == (2, 1)
    assert [run["files"] for run in states.runs] == [1]


@pytest.mark.parametrize(
    ("key", "folder", "words"),
    [
        (
            "incoming/typo/a.csv",
            "typo",
            "no model 'typo' in this stack; upload files to incoming/<model>/, models here: other, toy",
        ),
        ("incoming/TOY/a.csv", "TOY", "no model 'TOY' in this stack"),
        ("incoming/a.csv", "no-model", "no model named; upload files to incoming/<model>/"),
    ],
)
def test_a_file_of_an_unknown_model_is_quarantined(store, states, key, folder, words):
    assert _push(store, key) == []
    file, reason = store.keys("quarantine/")
    assert file.startswith(f"quarantine/{folder}/")
    assert words in store.json(reason)["reason"]
    assert store.keys("incoming/") == states.runs == []


def test_a_file_too_large_is_quarantined_without_being_fetched(store, states, monkeypatch):
    monkeypatch.setattr(checks, "MAX_FILE_BYTES", 100)
    assert _push(store, "incoming/toy/large.csv") == []
    reason = store.json(store.keys("quarantine/")[1])
    assert "at most 100 are taken; split it" in reason["reason"]
    assert reason["sha256"] is None


def test_an_unexpected_error_sends_back_that_message_alone(store, states, monkeypatch):
    store.put("incoming/toy/a.csv", GOOD)
    store.put("incoming/toy/b.csv", text(lines(20, first_hour=30)))
    original = checks.check_file

    def failing(path, spec):
        if b"2024-01-01T00" in path.read_bytes():
            raise OSError("disk")
        return original(path, spec)

    monkeypatch.setattr(checks, "check_file", failing)
    assert _handle(_message("incoming/toy/a.csv", 1), _message("incoming/toy/b.csv", 2)) == ["1"]
    assert store.keys("incoming/") == ["incoming/toy/a.csv"]
    assert [run["files"] for run in states.runs] == [1]


@pytest.mark.parametrize(
    "changes",
    [
        {"account": "999999999999"},
        {"source": "me"},
        {"detail": {"bucket": {"name": ARTIFACTS}, "object": {"key": "incoming/toy/a.csv"}}},
    ],
)
def test_a_forged_event_is_refused_and_touches_nothing(store, states, changes):
    store.put("incoming/toy/a.csv", GOOD)
    assert _handle(_message("incoming/toy/a.csv", 7, **changes)) == ["7"]
    assert store.keys() == ["incoming/toy/a.csv"]


def test_the_object_is_read_as_it_is_now_whatever_the_event_says(store, states):
    store.put("incoming/toy/a.csv", "broken")
    store.put("incoming/toy/a.csv", GOOD)
    message = _message("incoming/toy/a.csv")
    assert _handle(message, message) == []
    assert (len(store.keys("accepted/")), store.keys("quarantine/")) == (1, [])


def test_a_newer_object_that_arrives_while_the_first_is_checked_stays(store, states, monkeypatch):
    original = checks.check_file
    later = text(lines(20, first_hour=30))

    def slow(path, spec):
        if store.keys("accepted/") == []:
            store.put("incoming/toy/a.csv", later)
        return original(path, spec)

    monkeypatch.setattr(checks, "check_file", slow)
    _push(store, "incoming/toy/a.csv")
    assert store.get("incoming/toy/a.csv") == later.encode()
    assert store.get(store.keys("accepted/")[0]) == GOOD.encode()


def test_folder_markers_of_the_console_are_left_alone(store, states):
    assert _push(store, "incoming/toy/", "") == []
    assert store.keys() == ["incoming/toy/"]


def test_an_object_that_is_gone_starts_nothing_when_nothing_is_accepted(store, states):
    assert _handle(_message("incoming/toy/gone.csv")) == []
    assert states.runs == []


def test_rows_of_files_put_there_by_others_are_counted(store, states):
    store.put("accepted/toy/seed.csv", text(lines(12, first_hour=500)))
    _push(store, "incoming/toy/a.csv")
    assert [(run["rows"], run["files"]) for run in states.runs] == [(42, 2)]


def test_what_happened_is_counted_per_model(store, states, capsys):
    store.put("incoming/toy/bad.csv", "")
    store.put("incoming/toy/good.csv", GOOD)
    _handle(_message("incoming/toy/bad.csv", 1), _message("incoming/toy/good.csv", 2))
    (found,) = emitted(capsys.readouterr().out)
    assert found["dimensions"] == [["Stack", "Model"]]
    assert (found["Stack"], found["Model"]) == (PREFIX, "toy")
    assert (found["FilesAccepted"], found["FilesQuarantined"], found["RowsAccepted"]) == (
        [1.0],
        [1.0],
        [30.0],
    )


def test_a_function_without_its_variables_says_which(store, monkeypatch):
    monkeypatch.delenv("DATA_BUCKET")
    monkeypatch.setenv("PREFIX", "")
    with pytest.raises(KeyError, match="not set: DATA_BUCKET, PREFIX"):
        intake.handler({"Records": []}, CONTEXT)
