"""What a wake leads to: one run at a time on the newest data, limits, and people who are told."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from models.spec import Triggers
from tests.training.dispatch.world import ACCOUNT, CONTEXT, MACHINE, PREFIX, QUICK, at
from tests.training.lambdas import DATA, emitted
from training import versions
from training.dispatch.handler import handler
from training.ledger.table import Ledger

HOUR, DAY = 3600, 86_400


def inputs(world):
    return [json.loads(one.execution_input) for one in world.executions]


def test_accepted_data_starts_a_run_on_all_of_it(world):
    world.push("a.csv", dropped=2)
    world.push("b.csv")
    assert world.wake() == []
    (given,) = inputs(world)
    version = versions.select("toy", DATA, "all", world.ledger.data("toy"))
    assert given == {
        "model": "toy",
        "run_id": version.id,
        "manifest_uri": f"s3://{DATA}/manifests/toy/{version.id}.json",
        "rows": 20,
        "files": 2,
        "dropped": 2,
        "trigger": "data",
        "data_version": version.id,
        "data_version_uri": f"s3://{DATA}/manifests/toy/{version.id}.data.json",
        "contract_version": world.spec.contract_version,
    }
    assert world.executions[0].name == version.id
    (run,) = world.runs
    assert (run.state, run.attempt, run.trigger, run.worst_usd) == ("running", 1, "data", 0.118833)
    assert world.ledger.plan("toy").current_run == run.run_id


def test_however_often_it_is_woken_a_data_set_is_trained_once(world):
    world.push("a.csv")
    for _ in range(3):
        world.wake()
    world.end()
    for _ in range(3):
        world.wake()
    assert len(world.executions) == 1
    assert [run.state for run in world.runs] == ["succeeded"]


def test_what_arrives_during_a_run_is_collected_into_the_next(world):
    world.push("a.csv")
    world.wake()
    for name in "bcd":
        world.push(f"{name}.csv")
        world.wake()
    assert len(world.executions) == 1
    world.clock.at += 60
    world.wake(world.end())
    assert [one["files"] for one in inputs(world)] == [1, 4]
    assert [run.state for run in world.runs] == ["succeeded", "running"]


def test_the_seed_alone_is_not_trained_on_again(world):
    seed = world.push("seed")
    world.ledger.replace_data(seed, replace(seed, key="accepted/toy/0123456789abcdef-seed.csv"))
    world.wake()
    assert world.executions == []
    world.push("a.csv")
    world.wake()
    assert inputs(world)[0]["files"] == 2


def test_without_data_nothing_happens(world):
    assert world.wake() == []
    assert world.executions == []
    assert world.ledger.plan("toy").lease_owner is None


def test_a_window_decides_which_files_are_read(world):
    world.deploy(QUICK, training=replace(world.spec.training, window="5 rows"))
    world.push("old.csv")
    world.push("new.csv", first="2026-02-01T00:00:00", last="2026-02-02T00:00:00")
    world.wake()
    record = world.store.json(inputs(world)[0]["data_version_uri"].removeprefix(f"s3://{DATA}/"))
    assert [one["source"] for one in record["objects"]] == ["incoming/toy/new.csv"]
    assert record["window"]["setting"] == "5 rows"


def test_a_file_that_the_window_leaves_out_starts_nothing(world):
    world.deploy(QUICK, training=replace(world.spec.training, window="5 days"))
    world.push("new.csv", first="2026-02-01T00:00:00", last="2026-02-02T00:00:00")
    world.wake()
    world.end()
    world.push("older.csv")
    world.wake()
    assert len(world.executions) == 1


def test_the_quiet_period_is_waited_for_with_one_message_of_its_own(world):
    world.deploy(replace(QUICK, quiet_seconds=60))
    world.push("a.csv")
    for _ in range(5):
        world.wake()
    assert world.executions == []
    assert world.messages("dispatch") == [{"model": "toy", "why": "again"}]
    world.clock.at += 60
    world.wake()
    assert len(world.executions) == 1


def fail_three_times(world):
    for _ in range(5):
        world.wake()
        if world.executions[-1].status == "RUNNING":
            world.clock.at += 1
            world.wake(world.end("FAILED"))


def test_a_failed_run_is_tried_again_and_given_up_after_the_third(world, capsys):
    world.push("a.csv")
    fail_three_times(world)
    assert [one["trigger"] for one in inputs(world)] == ["data", "retry", "retry"]
    assert len({one["run_id"] for one in inputs(world)}) == 3
    assert len({one["data_version"] for one in inputs(world)}) == 1
    assert world.ledger.plan("toy").held["rule"] == "attempts"
    ((subject, text),) = world.notices
    assert subject == "upkeep-test-toy: data set given up"
    assert text.count("TrainingFailed: the job said no") == 3
    held = [one for one in emitted(capsys.readouterr().out) if "TrainingsHeld" in one]
    assert [one["TrainingsHeld"] for one in held] == [[1.0]]


def test_other_data_is_tried_after_a_data_set_was_given_up(world):
    world.push("a.csv")
    fail_three_times(world)
    world.push("b.csv")
    world.wake()
    assert inputs(world)[-1]["files"] == 2
    assert world.ledger.plan("toy").held is None


def test_a_person_forces_a_run_past_limits_and_failures(world):
    world.deploy(replace(QUICK, max_per_day=1, quiet_seconds=900))
    world.push("a.csv")
    world.ledger.force("toy", "ann")
    world.wake({"model": "toy", "why": "forced"})
    world.wake(world.end())
    world.push("b.csv")
    world.clock.at += 900
    world.wake()
    assert len(world.executions) == 1
    world.ledger.force("toy", "ann")
    world.wake({"model": "toy", "why": "forced"})
    assert [one["trigger"] for one in inputs(world)] == ["person", "person"]
    assert world.ledger.plan("toy").forced is None
    assert world.ledger.plan("toy").held is None


def test_a_wish_is_kept_while_a_run_is_under_way_and_dropped_when_there_is_nothing_to_train(world):
    world.push("a.csv")
    world.wake()
    world.ledger.force("toy", "ann")
    world.wake({"model": "toy", "why": "forced"})
    assert world.ledger.plan("toy").forced["by"] == "ann"
    world.wake(world.end())
    assert world.ledger.plan("toy").forced is None
    assert len(world.executions) == 1


def test_the_daily_limit_holds_back_with_one_notice_and_lets_go_by_itself(world, capsys):
    world.deploy(replace(QUICK, max_per_day=1))
    world.push("a.csv")
    world.wake()
    started = world.clock.at
    world.wake(world.end())
    world.push("b.csv")
    for _ in range(3):
        world.clock.at += HOUR
        world.wake()
    held = world.ledger.plan("toy").held
    assert (held["rule"], held["until"], held["since"]) == ("max_per_day", started + DAY, started + HOUR)
    assert [subject for subject, _ in world.notices] == ["upkeep-test-toy: training held back by max_per_day"]
    assert sum("TrainingsHeld" in one for one in emitted(capsys.readouterr().out)) == 1
    world.clock.at = started + DAY
    world.sweep()
    assert len(world.executions) == 2
    assert world.ledger.plan("toy").held is None


def test_a_cooldown_is_visible_but_no_news(world):
    world.deploy(replace(QUICK, cooldown_seconds=600))
    world.push("a.csv")
    world.wake()
    world.wake(world.end())
    world.push("b.csv")
    world.clock.at += 100
    world.wake()
    world.wake()
    assert world.ledger.plan("toy").held["rule"] == "cooldown"
    assert world.notices == []
    assert world.messages("dispatch") == [{"model": "toy", "why": "again"}]
    assert world.ledger.plan("toy").wake_at == world.clock.at + 500
    world.clock.at += 500
    world.wake()
    assert len(world.executions) == 2


def test_the_ceiling_holds_until_the_next_month(world):
    world.clock.at = at("2028-02-29T23:00:00")
    world.deploy(replace(QUICK, max_usd_per_month=0.2))
    world.push("a.csv")
    world.wake()
    world.wake(world.end(seconds=3600))
    assert world.runs[0].usd == 0.115
    world.push("b.csv")
    world.wake()
    assert world.ledger.plan("toy").held["until"] == at("2028-03-01T00:00:00")
    world.clock.at = at("2028-03-01T00:00:00")
    world.wake()
    assert len(world.executions) == 2


def test_what_a_run_cost_is_its_billed_time(world, capsys):
    world.push("a.csv")
    world.wake()
    world.wake(world.end(seconds=1800))
    assert world.runs[0].usd == 0.0575
    spent = [one for one in emitted(capsys.readouterr().out) if "TrainingSpend" in one]
    assert [one["TrainingSpend"] for one in spent] == [[0.0575]]
    assert spent[0]["dimensions"] == [["Stack", "Model"]]


def test_without_a_job_the_time_of_the_execution_counts(world, calls):
    world.push("a.csv")
    world.wake()
    world.clock.at += 1
    world.end("FAILED")
    missing = {"Error": {"Code": "ValidationException", "Message": "Requested resource not found."}}
    calls.answers["DescribeTrainingJob"] = ClientError(missing, "DescribeTrainingJob")
    world.executions[0].stop_date = world.executions[0].start_date + timedelta(minutes=30)
    world.wake()
    assert world.runs[0].usd == 0.0575
    assert world.runs[0].reason == "TrainingFailed: the job said no"


def test_a_release_is_waited_for_before_the_next_run(world, calls):
    package = calls.answers["DescribeModelPackage"] = {"ModelApprovalStatus": "Approved"}
    world.push("a.csv")
    world.wake()
    world.push("b.csv")
    world.wake(world.end(approval="Approved"))
    assert [run.state for run in world.runs] == ["releasing"]
    assert len(world.executions) == 1
    package["CustomerMetadataProperties"] = {"release": "live"}
    released = {"stateMachineArn": MACHINE.replace("retrain", "release"), "name": "x", "status": "SUCCEEDED"}
    world.wake(ended(released))
    assert [run.state for run in world.runs] == ["succeeded", "running"]


@pytest.mark.parametrize("mark", ["superseded", "failed", "rolled_back", "refused"])
def test_a_release_has_ended_with_any_mark_and_not_with_the_wish_for_another_try(world, calls, mark):
    package = calls.answers["DescribeModelPackage"] = {"ModelApprovalStatus": "Approved"}
    package["CustomerMetadataProperties"] = {"release": "retry"}
    world.push("a.csv")
    world.wake()
    world.wake(world.end(approval="Approved"))
    assert [run.state for run in world.runs] == ["releasing"]
    package["CustomerMetadataProperties"] = {"release": mark}
    world.wake()
    assert [run.state for run in world.runs] == ["succeeded"]


def ended(detail):
    kind = "Step Functions Execution Status Change"
    return {"source": "aws.states", "detail-type": kind, "account": ACCOUNT, "detail": detail}


@pytest.mark.parametrize("status", ["Rejected", "PendingManualApproval"])
def test_a_release_that_was_taken_back_is_not_waited_for(world, calls, status):
    calls.answers["DescribeModelPackage"] = {"ModelApprovalStatus": status}
    world.push("a.csv")
    world.wake()
    world.wake(world.end(approval="Approved"))
    world.push("b.csv")
    world.wake()
    assert [run.state for run in world.runs] == ["succeeded", "running"]


def test_a_release_that_never_ends_is_waited_for_four_hours(world, calls):
    calls.answers["DescribeModelPackage"] = {"ModelApprovalStatus": "Approved"}
    world.push("a.csv")
    world.wake()
    world.push("b.csv")
    world.wake(world.end(approval="Approved"))
    world.clock.at += 4 * HOUR - 1
    world.wake()
    assert len(world.executions) == 1
    world.clock.at += 1
    world.sweep()
    assert len(world.executions) == 2


def test_a_package_that_was_deleted_is_not_waited_for(world, calls):
    gone = {"Error": {"Code": "ValidationException", "Message": "ModelPackage does not exist"}}
    calls.answers["DescribeModelPackage"] = ClientError(gone, "DescribeModelPackage")
    world.push("a.csv")
    world.wake()
    world.wake(world.end(approval="Approved"))
    world.wake()
    assert [run.state for run in world.runs] == ["succeeded"]


def test_an_event_that_is_ahead_of_step_functions_is_looked_into_again_soon(world):
    world.push("a.csv")
    world.wake()
    event = world.end()
    world.executions[0].status = "RUNNING"
    world.wake(event)
    assert [run.state for run in world.runs] == ["running"]
    assert world.messages("dispatch") == [{"model": "toy", "why": "again"}]
    assert world.ledger.plan("toy").wake_at == world.clock.at + 15


def test_a_failing_model_does_not_stop_another(world):
    world.push("a.csv", model="other")
    world.store.put(
        "specs/other.json",
        json.dumps(world.spec.to_dict() | {"name": "other"}),
        f"{PREFIX}-artifacts-{ACCOUNT}",
    )
    world.push("a.csv")
    # Of `other` there is no state machine.
    failed = world.wake({"model": "other", "why": "arrival"}, {"model": "toy", "why": "arrival"})
    assert failed == ["0"]
    assert [one.name for one in world.executions] == [world.runs[0].run_id]
    world.make_machine("other")
    assert world.wake({"model": "other", "why": "arrival"}) == []
    assert len(world.executions) == 2


def test_many_wakes_of_one_model_are_one_look(world, calls):
    world.push("a.csv")
    calls.begin()
    world.wake(*[{"model": "toy", "why": "arrival"}] * 10)
    assert calls.seen.count("StartExecution") == 1
    assert calls.seen.count("DescribeExecution") == 0


def test_who_finds_somebody_at_work_leaves_word_and_is_heard(world, calls):
    taken = world.ledger.take_lease("toy", "somebody", 60)
    world.push("a.csv")
    assert world.wake() == []
    assert world.executions == []
    assert not world.ledger.release_lease("toy", "somebody"), "the holder must look once more"
    assert taken is not None


def test_word_left_while_it_looks_is_heard_at_once(world, calls):
    world.push("a.csv")
    left = []

    def another_comes(_):
        if not left:
            left.append(world.ledger.take_lease("toy", "another", 60))
            world.push("b.csv")
        return {"MessageId": "1"}

    world.deploy(replace(QUICK, quiet_seconds=1))
    calls.answers["SendMessage"] = another_comes
    calls.begin()
    world.wake()
    assert left == [None]
    assert world.ledger.plan("toy").lease_owner is None
    assert calls.seen.count("GetObject") == 2, "the spec was read once per look"


def test_a_lease_of_a_function_that_died_runs_out(world):
    world.ledger.take_lease("toy", "dead", 120)
    world.push("a.csv")
    world.wake()
    assert world.executions == []
    world.clock.at += 120
    world.wake()
    assert len(world.executions) == 1


def test_a_model_that_was_removed_is_let_go(world):
    assert world.wake({"model": "removed", "why": "arrival"}) == []


def test_messages_of_others_are_refused(world):
    for body in (
        "no json",
        "[]",
        {"why": "arrival"},
        {"model": "../x"},
        {"source": "aws.events", "detail-type": "Scheduled Event", "account": "999999999999"},
        {"source": "aws.s3", "detail-type": "Object Created", "account": ACCOUNT},
        ended({"stateMachineArn": MACHINE.replace(PREFIX, "other-stack")}),
        ended(None),
    ):
        assert world.wake(body) == ["0"], body
    foreign = {
        "messageId": "7",
        "eventSourceARN": "arn:aws:sqs:us-east-1:1:upkeep-test-dispatch",
        "body": "{}",
    }
    assert handler({"Records": [foreign]}, CONTEXT) == {"batchItemFailures": [{"itemIdentifier": "7"}]}


def test_quarantined_files_of_one_delivery_are_one_notice(world, capsys):
    world.deploy(replace(QUICK, quiet_seconds=60))
    for number in range(25):
        world.refuse(f"bad-{number}.csv")
    world.wake()
    assert world.notices == []
    world.clock.at += 60
    for _ in range(3):
        world.wake()
    ((subject, text),) = world.notices
    assert subject == "upkeep-test-toy: 25 files quarantined"
    assert text.count("size: range, 3 rows") == 20
    assert "and 5 more files" in text
    assert "upkeep quarantine show <id>" in text
    assert "4711" not in text
    assert [
        one["DeliveriesQuarantined"]
        for one in emitted(capsys.readouterr().out)
        if "DeliveriesQuarantined" in one
    ] == [[1.0]]
    world.refuse("later.csv")
    world.clock.at += 60
    world.sweep()
    assert [subject for subject, _ in world.notices][1:] == ["upkeep-test-toy: 1 file quarantined"]


def test_a_bad_file_does_not_stop_good_ones(world):
    world.refuse("bad.csv")
    world.push("good.csv")
    world.wake()
    assert inputs(world)[0]["files"] == 1
    assert len(world.notices) == 1


def test_people_are_told_even_when_the_training_cannot_be_started(world, calls):
    world.push("a.csv")
    world.refuse("bad.csv")
    denied = {"Error": {"Code": "AccessDeniedException", "Message": "states:StartExecution"}}
    calls.answers["StartExecution"] = ClientError(denied, "StartExecution")
    assert world.wake() == ["0"]
    assert len(world.notices) == 1
    assert world.ledger.plan("toy").lease_owner is None
    del calls.answers["StartExecution"]
    assert world.wake() == []
    assert len(world.executions) == 1


def test_files_for_no_model_are_told_of_by_the_sweep(world):
    entry = world.refuse(
        "stray.csv",
        model="no-model",
        findings=[{"column": None, "rule": "model", "text": "no model 'fligths'"}],
    )
    world.sweep()
    assert world.notices == []
    world.clock.at += 60
    world.sweep()
    world.sweep()
    ((subject, text),) = world.notices
    assert subject == "upkeep-test-no-model: 1 file quarantined"
    assert "no model 'fligths'" in text
    assert entry.id in text


def manifest(world, folder, *files):
    world.ledger.record_manifest(
        "toy", folder, [one if isinstance(one, dict) else {"name": one} for one in files]
    )


BY_FOLDER = replace(QUICK, delivery="manifest", quiet_seconds=60)


def test_with_manifests_nothing_happens_before_all_listed_files_are_there(world):
    world.deploy(BY_FOLDER)
    world.ledger.note_delivery("toy", "d1")
    world.push("a.csv", delivery="d1")
    world.wake()
    manifest(world, "d1", "a.csv", "b.csv", "bad.csv")
    world.wake()
    world.refuse("bad.csv", delivery="d1")
    world.wake()
    assert (world.executions, world.notices) == ([], [])
    world.push("b.csv", delivery="d1")
    world.wake()
    assert inputs(world)[0]["files"] == 2
    assert [subject for subject, _ in world.notices] == ["upkeep-test-toy: 1 file quarantined"]
    assert world.ledger.delivery("toy", "d1").state == "complete"


def test_an_overdue_delivery_is_told_of_once(world, capsys):
    world.deploy(replace(BY_FOLDER, manifest_deadline_seconds=HOUR))
    world.ledger.note_delivery("toy", "d1")
    world.push("a.csv", delivery="d1")
    world.clock.at += HOUR - 1
    world.sweep()
    assert world.notices == []
    world.clock.at += 1
    world.sweep()
    world.sweep()
    ((subject, text),) = world.notices
    assert subject == "upkeep-test-toy: delivery overdue"
    assert "no _MANIFEST.json" in text
    assert sum("DeliveriesOverdue" in one for one in emitted(capsys.readouterr().out)) == 1
    manifest(world, "d1", "a.csv")
    world.wake()
    assert len(world.executions) == 1


def test_good_files_that_no_manifest_lists_wait_and_are_told_of(world):
    world.deploy(BY_FOLDER)
    world.ledger.note_delivery("toy", "d1")
    world.push("a.csv", delivery="d1")
    world.push("extra.csv", delivery="d1")
    manifest(world, "d1", "a.csv")
    world.wake()
    world.wake()
    assert inputs(world)[0]["files"] == 1
    ((subject, text),) = world.notices
    assert subject == "upkeep-test-toy: files outside the manifest wait"
    assert "extra.csv" in text


def test_a_model_that_changes_to_manifests_keeps_its_data(world):
    world.push("a.csv")
    world.wake()
    world.wake(world.end())
    world.deploy(BY_FOLDER)
    world.clock.at += 1
    world.ledger.note_delivery("toy", "d1")
    world.push("b.csv", delivery="d1")
    world.wake()
    assert len(world.executions) == 1
    manifest(world, "d1", "b.csv")
    world.wake()
    assert inputs(world)[1]["files"] == 2


def test_the_sweep_looks_at_every_model(world):
    world.push("a.csv")
    assert world.sweep() == []
    assert len(world.executions) == 1


def test_limits_of_the_spec_are_the_deployed_ones(world):
    world.deploy(Triggers(quiet_seconds=0, max_usd_per_month=0))
    world.push("a.csv")
    world.wake()
    assert world.ledger.plan("toy").held["rule"] == "max_usd_per_month"
    world.deploy(QUICK)
    world.wake()
    assert len(world.executions) == 1


def test_a_file_that_arrives_while_it_decides_is_not_taken_without_its_delivery(world, monkeypatch):
    world.deploy(replace(QUICK, quiet_seconds=60))
    world.push("a.csv")
    world.clock.at += 60
    plan = Ledger.plan

    def read_and_then_another_arrives(ledger, model):
        found = plan(ledger, model)
        monkeypatch.setattr(Ledger, "plan", plan)
        world.push("first-of-many.csv")
        return found

    monkeypatch.setattr(Ledger, "plan", read_and_then_another_arrives)
    world.wake()
    assert [one["files"] for one in inputs(world)] == [1]
