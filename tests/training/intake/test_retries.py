"""A message that failed comes again soon, then ever later, and is given up at once after the last time."""

import pytest

from tests.training.intake.messages import deliver, message
from training.aws import client
from training.intake.retries import LONGEST_SECONDS, delay_seconds


def test_each_rest_is_longer_than_the_one_before_and_an_outage_of_an_hour_is_outlived():
    rests = [delay_seconds(receives, 5) for receives in (1, 2, 3, 4)]
    assert rests == sorted(rests) == [60, 300, 1500, LONGEST_SECONDS]
    assert sum(rests) > 3600


def test_after_the_last_failure_the_queue_gives_the_message_up_at_once():
    assert delay_seconds(5, 5) == 0
    assert delay_seconds(9, 5) == 0


@pytest.fixture
def asked(store, ledger):
    found = []
    name = "provide-client-params.sqs.ChangeMessageVisibility"

    def record(params, **_):
        found.append(params)

    client("sqs").meta.events.register(name, record)
    yield found
    client("sqs").meta.events.unregister(name, record)


def test_only_the_failed_messages_of_a_batch_are_put_off(store, asked):
    version = store.put("incoming/toy/empty.csv", "")
    good = message("incoming/toy/empty.csv", version, "good") | {"receiptHandle": "one"}
    forged = message("elsewhere/x.csv", "", "forged", receives=2) | {"receiptHandle": "two"}
    assert deliver(good, forged) == ["forged"]
    assert [(p["ReceiptHandle"], p["VisibilityTimeout"]) for p in asked] == [("two", 300)]


def test_a_message_that_cannot_be_put_off_comes_again_all_the_same(store, asked, monkeypatch):
    def broken(**_):
        raise ConnectionError("no answer")

    monkeypatch.setattr(client("sqs"), "change_message_visibility", broken)
    assert deliver(message("elsewhere/x.csv", "", "forged")) == ["forged"]
