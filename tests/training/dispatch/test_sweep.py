"""What lies below incoming/ in nobody's hands is told of again."""

import json
import time

import pytest

from tests.training.lambdas import ACCOUNT, CONTEXT, DATA, ENVIRONMENT
from training.dispatch import sweep as module
from training.dispatch.settings import Settings
from training.dispatch.sweep import DAY_SECONDS, OLD_SECONDS, is_due, is_looked_up, is_overlooked, sweep
from training.intake.arrivals import read_message
from training.ledger.records import ObjectRecord


@pytest.fixture
def settings(world):
    world.clock.at = time.time() + OLD_SECONDS + 60
    return Settings.load(ENVIRONMENT, CONTEXT.invoked_function_arn)


def told(world):
    """Keys and versions the intake was told of, read as the intake reads them."""
    queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:upkeep-test-intake"
    found = []
    for body in world.messages("intake"):
        record = {"eventSourceARN": queue, "body": json.dumps(body)}
        found.append(read_message(record, bucket=DATA, account=ACCOUNT, queue="upkeep-test-intake"))
    return sorted((one.key, one.version_id) for one in found)


def test_every_version_that_nobody_has_is_told_of(world, settings):
    for _ in range(2):
        world.store.put("incoming/toy/a b.csv", "1")
    world.store.put("incoming/stray.csv", "1")
    world.store.put("accepted/toy/other.parquet", "1")
    versions = world.store.s3.list_object_versions(Bucket=DATA, Prefix="incoming/")["Versions"]
    assert sweep(settings, world.ledger) == 3
    assert told(world) == sorted((one["Key"], one["VersionId"]) for one in versions)


def test_a_new_file_is_left_to_its_event(world, settings):
    world.store.put("incoming/toy/a.csv", "1")
    world.clock.at -= 120
    assert sweep(settings, world.ledger) == 0


def test_a_withdrawn_file_is_told_of_until_that_is_known(world, settings):
    world.store.put("incoming/toy/a.csv", "1")
    world.store.s3.delete_object(Bucket=DATA, Key="incoming/toy/a.csv")
    assert sweep(settings, world.ledger) == 1
    ((key, version),) = told(world)
    record = ObjectRecord.of(key, version, owner="m")
    world.ledger.claim(record)
    world.ledger.settle(ObjectRecord.of(key, version, owner="m", state="gone"))
    assert sweep(settings, world.ledger) == 0


def test_no_more_messages_than_allowed_are_sent_at_once(world, settings, monkeypatch):
    monkeypatch.setattr(module, "MAX_MESSAGES", 12)
    for number in range(15):
        world.store.put(f"incoming/toy/{number}.csv", "1")
    assert sweep(settings, world.ledger) == 12
    assert len(told(world)) == 12


def test_a_message_the_queue_did_not_take_is_an_error(world, settings, calls):
    world.store.put("incoming/toy/a.csv", "1")
    calls.answers["SendMessageBatch"] = {
        "Failed": [{"Id": "0", "Code": "InternalError", "SenderFault": False}]
    }
    with pytest.raises(module.SweepError):
        sweep(settings, world.ledger)


def test_the_schedule_sweeps_and_says_when_it_could_not(world, settings, calls):
    world.store.put("incoming/toy/a.csv", "1")
    calls.answers["SendMessageBatch"] = {
        "Failed": [{"Id": "0", "Code": "InternalError", "SenderFault": False}]
    }
    assert world.sweep() == ["0"]
    calls.answers.clear()
    assert world.sweep() == []
    assert told(world)[0][0] == "incoming/toy/a.csv"


@pytest.mark.parametrize(
    ("state", "claimed_until", "expected"),
    [
        ("claimed", 101, False),
        ("claimed", 100, True),
        ("accepted", 0, True),
        ("duplicate", 0, True),
        ("quarantined", 0, True),
        ("ignored", 0, False),
        ("gone", 0, False),
        ("dead", 0, False),
    ],
)
def test_what_is_in_somebodys_hands_is_left_alone(state, claimed_until, expected):
    record = ObjectRecord.of("incoming/toy/a.csv", "v", state=state, claimed_until=claimed_until)
    assert is_overlooked(record, 100) is expected


def test_a_file_that_nobody_can_handle_is_told_of_ever_more_seldom():
    sweeps = [age for age in range(0, 14 * 24 * 3600, 300) if is_due(age)]
    assert [age // 60 for age in sweeps[:6]] == [15, 20, 30, 35, 60, 65]
    assert len(sweeps) == 2 * 11


def test_what_the_ledger_does_not_know_was_overlooked():
    assert is_overlooked(None, 100)


SWEEPS = range(OLD_SECONDS, 10 * DAY_SECONDS, 300)


def test_a_file_that_no_call_can_handle_is_told_of_ever_more_seldom():
    ages = [age for age in SWEEPS if is_due(age)]
    assert ages[:6] == [900, 1200, 1800, 2100, 3600, 3900]
    assert len(ages) == 20


def test_a_file_that_the_ledger_does_not_know_is_looked_for_at_every_sweep_of_a_day_and_then_daily():
    ages = [age for age in SWEEPS if is_looked_up(age)]
    assert sum(age < DAY_SECONDS for age in ages) == (DAY_SECONDS - OLD_SECONDS) // 300
    assert {age // DAY_SECONDS for age in ages} == set(range(10))
    assert len(ages) < 320
    assert not is_looked_up(OLD_SECONDS - 1)


def test_a_claim_that_ran_out_waits_for_its_turn(world, settings):
    world.store.put("incoming/toy/a.csv", "1")
    assert sweep(settings, world.ledger) == 1
    ((key, version),) = told(world)
    world.ledger.claim(ObjectRecord.of(key, version, owner="m", claimed_until=world.clock.at + 60))
    assert sweep(settings, world.ledger) == 0
    world.clock.at += 12 * 60
    assert sweep(settings, world.ledger) == 0, "28 minutes old"
    world.clock.at += 3 * 60
    assert sweep(settings, world.ledger) == 1, "31 minutes old"
