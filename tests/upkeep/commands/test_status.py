import json
from dataclasses import replace

from tests.upkeep.fakes import RETRAIN, START, FakeClient, answering, refusal
from tests.upkeep.stand import flights
from tests.upkeep.test_rows import SPEC
from tests.upkeep.test_runs import DECISION, described
from tests.upkeep.test_serving import RUN_URL, package

QUEUES = {
    "intake_queue_url": "http://queue/intake",
    "intake_dead_letters_url": "http://queue/dead",
    "ledger_table": "ledger",
}


def clients(alarms=(), waiting=0, dead=0, run=None, approval="Approved", **endpoint):
    import io

    def get_object(Bucket, Key):  # noqa: N803 - boto3's own spelling
        return {"Body": io.BytesIO((SPEC.to_json() if "specs/" in Key else json.dumps(DECISION)).encode())}

    def depth(QueueUrl, AttributeNames):  # noqa: N803 - boto3's own spelling
        return {"Attributes": {AttributeNames[0]: str(dead if QueueUrl.endswith("dead") else waiting)}}

    state = {"EndpointConfigName": "c", "EndpointStatus": "InService", "LastModifiedTime": START, **endpoint}
    listed = (
        {"executions": [{"executionArn": f"{RETRAIN}:0123", "name": "0123"}]}
        if run is None or run
        else {"executions": []}
    )
    return {
        "sagemaker": FakeClient(
            describe_endpoint=answering(state),
            describe_endpoint_config=answering({"ProductionVariants": [{"ModelName": "m"}]}),
            describe_model=answering({"PrimaryContainer": {"ModelDataUrl": RUN_URL}}),
            list_model_packages=answering({"ModelPackageSummaryList": [{"ModelPackageArn": "arn:pkg/3"}]}),
            describe_model_package=answering(package(ModelApprovalStatus=approval)),
        ),
        "stepfunctions": FakeClient(
            list_executions=answering(listed), describe_execution=answering(run or described())
        ),
        "s3": FakeClient(get_object=get_object),
        "cloudwatch": FakeClient(describe_alarms=answering({"MetricAlarms": list(alarms)})),
        "sqs": FakeClient(get_queue_attributes=depth),
        "dynamodb": FakeClient(query=answering({"Items": []}), get_item=answering({})),
    }


def test_it_shows_what_serves_the_last_decision_and_that_all_is_well(run):
    said = run(["status"], QUEUES, **clients())
    assert said.code == 0
    assert "InService  version 3 (run 01234567)  2026-11-21 10:00:00" in said.out
    assert "refuse" in said.out
    assert "No alarm, no dead letter, nothing refused, nothing waiting." in said.out


def test_json_has_the_same_facts(run):
    (model,) = run(["status", "--json"], QUEUES, **clients()).data["models"]
    assert (model["serving"]["version"], model["quarantined"], model["held"]) == (3, 0, None)
    assert model["last_run"]["decision"]["reason"] == "worse"


def test_alarms_dead_letters_and_waiting_messages_are_shown(run):
    alarm = {"AlarmName": "upkeep-dev-intake-dead", "StateValue": "ALARM", "StateReason": "1 > 0"}
    said = run(["status"], QUEUES, **clients(alarms=[alarm], waiting=2, dead=1))
    assert "ALARM upkeep-dev-intake-dead: 1 > 0" in said.out
    assert "Dead letters: 1 of intake; `upkeep replay --dry-run` shows them" in said.out
    assert "2 messages in the intake queue" in said.out
    assert "No alarm" not in said.out


def test_a_failed_run_and_a_failed_endpoint_say_why(run):
    failed = described(status="FAILED", error="TrainingFailed", cause="no rows")
    said = run(["status"], QUEUES, **clients(run=failed, EndpointStatus="Failed", FailureReason="no ping"))
    assert "flights: run 01234567 FAILED: no rows" in said.out
    assert "flights: endpoint upkeep-dev-flights is Failed: no ping." in said.out


def test_a_version_that_waits_for_a_person_is_shown(run):
    said = run(["status"], QUEUES, **clients(approval="PendingManualApproval"))
    assert "flights: version 3 waits for approval: `upkeep models`." in said.out


def test_a_refusal_of_aws_is_one_sentence(run):
    found = clients()
    found["cloudwatch"].answers["describe_alarms"] = lambda **_a: (_ for _ in ()).throw(
        refusal("AccessDenied")
    )
    said = run(["status"], QUEUES, **found)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("Error: AWS refused")


def test_only_alarms_of_this_stack_are_asked_for(run):
    found = clients()
    run(["status"], QUEUES, **found)
    (asked,) = found["cloudwatch"].asked("describe_alarms")
    assert (asked["AlarmNamePrefix"], asked["StateValue"]) == ("upkeep-dev-", "ALARM")


def test_held_runs_refused_files_and_late_deliveries_say_what_to_do(operate, stand):
    stand.deploy(replace(stand.spec, triggers=replace(stand.spec.triggers, delivery="manifest")))
    stand.arrive("x/a.csv", flights(4))
    stand.arrive("bad.csv", "a;b\n1;2\n")
    stand.ledger.take_lease("flights", "me", 60)
    stand.ledger.hold("flights", "me", "max_per_day", "24 runs", stand.clock.at + 7200)
    stand.ledger.force("flights", "Anna")
    stand.clock.at += 3700
    said = operate("status")
    assert said.code == 0
    assert "the next run is held by max_per_day until 2023-11-15 00:13:20 UTC: 24 runs." in said.out
    assert "`upkeep runs start --model flights --force` starts it now" in said.out
    assert "flights: Anna wants a run" in said.out
    assert "delivery x is overdue since 2023-11-14 22:13:20: no _MANIFEST.json." in said.out
    assert "flights: 1 refused files wait: `upkeep quarantine list`" in said.out


def test_all_that_waits_is_data_too(operate, stand):
    stand.dead("dispatch", "{}")
    stand.ledger.take_lease("flights", "me", 60)
    stand.ledger.hold("flights", "me", "attempts", "3 failed", None)
    found = operate("status", "--json").data
    assert found["queue"]["dead_letters"] == {"intake": 0, "dispatch": 1}
    assert found["models"][0]["held"] == {"rule": "attempts", "reason": "3 failed", "until": None}


def test_an_endpoint_that_does_not_serve_what_was_released_says_so(shelf, operate):
    shelf.add(1, "1.1.0")
    shelf.serve(1, 0)
    shelf.config, shelf.endpoint = shelf.config_of(0), {"FailureReason": "The new variant failed its ping."}
    said = operate("status")
    wanted = "serves upkeep-dev-flights-v0-seed, not upkeep-dev-flights-v1, which was released last: "
    assert f"{wanted}The new variant failed its ping" in said.out
    assert operate("status", "--json").data["models"][0]["truth"]["ok"] is False


def test_a_rollout_that_is_under_way_says_how_far_it_is(shelf, operate):
    shelf.add(1, "1.1.0")
    shelf.stand.account.states.answers["describe_execution"] = answering(described(status="RUNNING"))
    shelf.serve(0, owner="arn:x", operation="release", version="1.1.0", phase="updating", experiment="x1")
    said = operate("status").out
    assert "flights: release of 1.1.0 is under way (updating)." in said
    assert "flights: experiment x1 is on: `upkeep experiment status`." in said


def test_the_semantic_version_of_what_serves_is_shown(shelf, operate):
    shelf.add(1, "1.1.0")
    shelf.serve(1, 0)
    assert "1.1.0 (number 1, run 1abc0000)" in operate("status").out
    shelf.serve(0)
    assert "1.0.0 (seed)" in operate("status").out
