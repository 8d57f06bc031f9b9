import io
import json

import pytest

from tests.upkeep.fakes import RETRAIN, SECOND, START, FakeClient, FakeContext, answering, refusal
from upkeep import runs
from upkeep.errors import UpkeepError

INPUT = {
    "model": "flights",
    "run_id": "0123456789abcdef0123",
    "manifest_uri": "s3://upkeep-dev-data-000000000000/manifests/flights/0123.json",
    "rows": 26483,
    "files": ["accepted/flights/a.csv"],
    "trigger": "data",
}


def described(**changes):
    return {
        "executionArn": f"{RETRAIN}:0123",
        "name": INPUT["run_id"],
        "status": "SUCCEEDED",
        "startDate": START,
        "stopDate": START + 9 * SECOND,
        "input": json.dumps(INPUT),
        **changes,
    }


def entered(name, at):
    return {
        "type": "TaskStateEntered",
        "timestamp": START + at * SECOND,
        "stateEnteredEventDetails": {"name": name},
    }


def exited(name, at):
    return {
        "type": "TaskStateExited",
        "timestamp": START + at * SECOND,
        "stateExitedEventDetails": {"name": name},
    }


def test_a_run_is_read_from_its_execution():
    run = runs.parse_run("flights", described())
    assert (run.id, run.short, run.rows, run.files, run.trigger) == (
        INPUT["run_id"],
        "01234567",
        26483,
        1,
        "data",
    )
    assert run.ended
    assert run.seconds == 9


def test_a_running_run_has_no_duration():
    run = runs.parse_run("flights", described(status="RUNNING", stopDate=None))
    assert not run.ended
    assert run.seconds is None


def test_an_execution_started_by_hand_without_input_is_shown_all_the_same():
    run = runs.parse_run("flights", described(input="not json", name="by-hand"))
    assert (run.id, run.rows, run.manifest_uri) == ("by-hand", None, "")


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ('{"TrainingJobName": "j", "FailureReason": "AlgorithmError: no rows"}', "AlgorithmError: no rows"),
        ('{"errorMessage": "boom", "errorType": "ValueError"}', "boom"),
        ("plain words", "plain words"),
        (None, ""),
    ],
)
def test_the_sentence_is_taken_out_of_a_wrapped_cause(cause, said):
    assert runs.readable_cause(cause) == said


def test_steps_have_the_times_of_their_states():
    steps = runs.parse_steps([entered("Train", 0), exited("Train", 5), entered("Judge", 5)])
    assert [(s.name, s.status, s.seconds(START + 6 * SECOND)) for s in steps] == [
        ("Train", "done", 5),
        ("Judge", "running", 1),
    ]


def test_a_state_of_a_loop_is_one_step_with_the_time_of_all_its_visits():
    events = [
        entered("Wait", 0),
        exited("Wait", 1),
        entered("Look", 1),
        exited("Look", 2),
        entered("Wait", 2),
    ]
    steps = runs.parse_steps([*events, exited("Wait", 4)])
    assert [(s.name, s.status, s.seconds(START)) for s in steps] == [("Wait", "done", 3), ("Look", "done", 1)]


def test_the_state_that_failed_says_why():
    failed = {
        "type": "ExecutionFailed",
        "timestamp": START + 3 * SECOND,
        "executionFailedEventDetails": {"error": "TrainingFailed", "cause": '{"FailureReason": "no rows"}'},
    }
    (step,) = runs.parse_steps([entered("Train", 0), failed])
    assert (step.status, step.message, step.seconds(START)) == ("failed", "no rows", 3)


def test_events_without_states_are_no_steps():
    assert runs.parse_steps([{"type": "ExecutionStarted", "timestamp": START}]) == []


def context(record=None, **states):
    def get_object(**_arguments):
        if record is None:
            raise refusal("NoSuchKey")
        return {"Body": io.BytesIO(json.dumps(record).encode())}

    listed = {"executions": [{"executionArn": f"{RETRAIN}:0123", "name": INPUT["run_id"]}]}
    client = FakeClient(
        **{"list_executions": answering(listed), "describe_execution": answering(described()), **states}
    )
    return FakeContext({"s3": FakeClient(get_object=get_object), "stepfunctions": client})


DECISION = {
    "decision": "refuse",
    "reason": "worse",
    "challenger": 0.65,
    "champion": 0.66,
    "metric": "roc_auc",
    "extra": 1,
}


def test_listed_runs_carry_the_recorded_decision():
    there = context(DECISION)
    (run,) = runs.list_runs(there, there.model(None))
    assert run.decision is not None
    assert (run.decision.promoted, run.decision.reason) == (False, "worse")


def test_a_judged_run_counts_the_rows_it_worked_on_and_not_repeated_ones():
    there = context(DECISION | {"rows": {"total": 26397, "duplicates": 86}})
    (run,) = runs.list_runs(there, there.model(None))
    assert run.rows == 26397


def test_a_run_without_a_record_has_no_decision():
    there = context()
    (run,) = runs.list_runs(there, there.model(None))
    assert run.decision is None


def test_a_run_is_found_by_how_its_id_begins():
    there = context(DECISION)
    assert runs.find_run(there, there.model(None), "0123").id == INPUT["run_id"]


def test_an_unknown_run_is_answered_with_those_there_are():
    there = context(DECISION)
    with pytest.raises(UpkeepError, match=r"'ffff': no run begins with it. Runs of flights: 0123456789ab"):
        runs.find_run(there, there.model(None), "ffff")


def test_a_run_prints_as_json_with_its_decision_and_duration():
    there = context(DECISION)
    (run,) = runs.list_runs(there, there.model(None))
    data = json.loads(json.dumps(run.to_json()))
    assert data["started"] == "2026-11-21T10:00:00.000Z"
    assert (data["seconds"], data["decision"]["challenger"]) == (9.0, 0.65)


def test_a_release_is_found_by_the_package_in_its_input():
    there = context(
        list_executions=answering(
            {"executions": [{"executionArn": "arn:r", "name": "r", "startDate": START}]}
        ),
        describe_execution=answering(
            described(input=json.dumps({"detail": {"ModelPackageArn": "arn:pkg/3"}}))
        ),
    )
    assert runs.find_release(there, there.model(None), "arn:pkg/3", START) is not None
    assert runs.find_release(there, there.model(None), "arn:pkg/4", START) is None


def test_of_several_executions_for_a_package_the_first_is_its_release():
    listed = [
        {"executionArn": f"arn:{n}", "name": n, "startDate": START + i * SECOND}
        for i, n in ((2, "b"), (1, "a"))
    ]

    def describe(executionArn):  # noqa: N803 - boto3's own spelling
        given = json.dumps({"detail": {"ModelPackageArn": "arn:pkg/3"}})
        return described(name=executionArn, executionArn=executionArn, input=given)

    there = context(list_executions=answering({"executions": listed}), describe_execution=describe)
    assert runs.find_release(there, there.model(None), "arn:pkg/3", START).arn == "arn:a"


def test_a_release_from_before_the_run_is_not_its_release():
    there = context(
        list_executions=answering(
            {"executions": [{"executionArn": "arn:r", "name": "r", "startDate": START}]}
        )
    )
    assert runs.find_release(there, there.model(None), "arn:pkg/3", START + SECOND) is None


def test_a_manifest_lists_its_keys_and_not_its_prefix():
    there = context([{"prefix": "s3://bucket/"}, "accepted/flights/a.csv"])
    assert runs.read_manifest(there, INPUT["manifest_uri"]) == ["accepted/flights/a.csv"]


def test_a_manifest_that_is_gone_lists_nothing():
    assert runs.read_manifest(context(), INPUT["manifest_uri"]) == []
