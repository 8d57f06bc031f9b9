"""Arrivals are noted before anybody can see their records, and not more often than they count."""

import json

import pytest

from tests.training.examples import declare
from tests.training.lambdas import ENVIRONMENT
from training.aws import client
from training.intake.wakes import Wakes

TOY = declare()
FOLDERS = declare(name="folders", triggers={"delivery": "manifest", "quiet_seconds": 0})


@pytest.fixture
def wakes(ledger):
    return Wakes(ledger, client("sqs"), ENVIRONMENT["DISPATCH_QUEUE_URL"])


def test_many_arrivals_within_a_second_are_one_write(wakes, ledger, clock):
    begin = clock.at
    wakes.note(TOY, "")
    clock.at += 0.5
    wakes.note(TOY, "")
    assert ledger.plan("toy").last_arrival == begin
    clock.at += 0.5
    wakes.note(TOY, "")
    assert ledger.plan("toy").last_arrival == begin + 1


def test_folders_are_noted_only_where_they_count(wakes, ledger):
    for folder in ("day1", "day1", "day2", None):
        wakes.note(FOLDERS, folder)
    wakes.note(TOY, "day1")
    assert [record.folder for record in ledger.deliveries("folders")] == ["day1", "day2"]
    assert ledger.deliveries("toy") == []


def test_a_wake_says_who_and_why(wakes):
    wakes.send(FOLDERS)
    (found,) = client("sqs").receive_message(QueueUrl=ENVIRONMENT["DISPATCH_QUEUE_URL"])["Messages"]
    assert json.loads(found["Body"]) == {"model": "folders", "why": "arrival"}
