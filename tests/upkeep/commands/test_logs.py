import json
from datetime import UTC, datetime

import pytest

from tests.upkeep.fakes import RETRAIN, START, FakeClient, answering, raising
from upkeep import logbook

MILLISECONDS = int(START.timestamp() * 1000)


def clients(*messages, executions=1):
    events = [
        {"timestamp": MILLISECONDS + i, "message": m, "logStreamName": "s"} for i, m in enumerate(messages)
    ]
    listed = {"executions": [{"executionArn": f"{RETRAIN}:0123", "name": "0123456789"}][:executions]}
    return {
        "logs": FakeClient(filter_log_events=answering({"events": events})),
        "stepfunctions": FakeClient(list_executions=answering(listed)),
    }


def asked(found):
    return found["logs"].asked("filter_log_events")[-1]


def test_the_newest_runs_training_log_is_the_default(run):
    found = clients("fitted on 21,118 rows\n")
    said = run(["logs"], **found)
    assert said.out == "10:00:00.000  fitted on 21,118 rows\n"
    assert asked(found) == {
        "logGroupName": "/aws/sagemaker/TrainingJobs",
        "logStreamNamePrefix": "upkeep-dev-flights-0123456789/",
    }


def test_before_any_run_the_seed_jobs_log_is_shown(run):
    found = clients("x", executions=0)
    run(["logs"], **found)
    assert asked(found)["logStreamNamePrefix"] == "upkeep-dev-flights-seed-abc1234/"


def test_the_endpoints_log(run):
    found = clients("x")
    run(["logs", "--endpoint"], **found)
    assert asked(found) == {"logGroupName": "/aws/sagemaker/Endpoints/upkeep-dev-flights"}


def test_the_last_lines_are_looked_for_from_the_end_of_a_long_log(run):
    found = clients("one", "two")
    run(["logs", "--endpoint", "-n", "2"], **found)
    (arguments,) = found["logs"].asked("filter_log_events")
    ago = datetime.now(UTC).timestamp() - arguments["startTime"] / 1000
    assert ago == pytest.approx(3600, abs=60)


@pytest.mark.parametrize("name", ["intake", "upkeep-dev-intake"])
def test_a_function_is_named_short_or_in_full(run, name):
    found = clients("x")
    run(["logs", "--function", name], **found)
    assert asked(found) == {"logGroupName": "/aws/lambda/upkeep-dev-intake"}


def test_an_unknown_function_lists_those_there_are(run):
    said = run(["logs", "--function", "judges"], **clients())
    assert (said.code, said.err) == (
        1,
        "Error: --function: found 'judges', allowed: intake, dispatch, judge, release.\n",
    )


def test_two_places_at_once_are_refused(run):
    assert "not several" in run(["logs", "--endpoint", "--function", "judge"], **clients()).err


def test_a_group_that_does_not_exist_yet_is_explained(run):
    found = clients()
    error = FakeClient.exceptions.ResourceNotFoundException(
        {"Error": {"Code": "ResourceNotFoundException"}}, "x"
    )
    found["logs"].answers["filter_log_events"] = raising(error)
    assert "the log group does not exist" in run(["logs", "--endpoint"], **found).err


def test_json_is_one_object_per_line(run):
    lines = run(["logs", "--json"], **clients("one", "two")).out.splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["one", "two"]


def test_only_the_last_lines_are_shown(run):
    assert run(["logs", "--last", "1"], **clients("one", "two")).out.endswith("two\n")


def test_no_lines_say_so(run):
    assert run(["logs"], **clients()).out == "No lines.\n"


def test_what_functions_write_is_shown_as_level_words_and_error(run):
    record = {
        "level": "ERROR",
        "message": "a message goes back to the queue",
        "timestamp": "x",
        "service": "intake",
        "key": "incoming/flights/a.csv",
        "exception": "Traceback (most recent call last):\n  File x\nKeyError: 'late'",
    }
    said = run(["logs", "--function", "intake"], **clients(json.dumps(record)))
    expected = "ERROR   a message goes back to the queue key=incoming/flights/a.csv: KeyError: 'late'\n"
    assert said.out == f"10:00:00.000  {expected}"


def test_metrics_are_shown_as_names_and_values():
    record = {"_aws": {"CloudWatchMetrics": []}, "Model": "flights", "FilesAccepted": [1.0]}
    assert logbook.readable(json.dumps(record)).message == "Model=flights FilesAccepted=1.0"


@pytest.mark.parametrize("message", ["plain", "[1]", '{"no": "message"}', "{broken"])
def test_other_lines_are_left_as_they_are(message):
    assert logbook.readable(message).message == message


def test_following_shows_each_line_once():
    found = clients("one", "two")["logs"]

    class Context:
        def client(self, _service):
            return found

    def sleep(_seconds):
        if len(found.calls) >= 6:
            raise KeyboardInterrupt

    seen = []
    with pytest.raises(KeyboardInterrupt):
        seen.extend(line.message for line in _collect(Context(), sleep, seen))
    assert seen == ["one", "two"]


def _collect(context, sleep, seen):
    for line in logbook.follow(context, logbook.Place("g"), 10, 0.0, sleep):
        seen.append(line.message)
    return []
