from dataclasses import replace

import pytest

from tests.upkeep.fakes import SECOND, START
from tests.upkeep.stand import execution, flights
from training.ledger.records import FAILED, RUNNING, STARTING
from upkeep import aws_source
from upkeep.aws_source import AwsSource, hold_of
from upkeep.serving import Answer


@pytest.fixture
def source(stand):
    return AwsSource(stand.context, stand.model, stand.spec, stand.ledger, frozenset())


def ran(stand, name, state="succeeded", status="SUCCEEDED"):
    """A run on all that is accepted."""
    run = stand.train(run_id=name, state=state)
    stand.account.executions[name] = execution(run, status)
    return run


@pytest.fixture
def key(stand):
    stand.arrive("a.csv", flights(4))
    return stand.ledger.data("flights")[0].key


@pytest.mark.parametrize(
    ("states", "earlier", "new_only", "found"),
    [
        ({"one": RUNNING}, [], True, "one"),
        ({"one": "succeeded"}, ["one"], True, None),
        ({"one": "succeeded"}, ["one"], False, "one"),
        ({"one": FAILED}, ["one"], False, None),
        ({"one": FAILED, "two": RUNNING}, ["one"], False, "two"),
        ({"one": FAILED, "two": FAILED}, ["one"], False, "two"),
    ],
)
def test_the_run_of_a_push_is_the_first_that_is_not_an_earlier_failure(
    stand, source, key, states, earlier, new_only, found
):
    for name, state in states.items():
        ran(stand, name, state)
    source.earlier = frozenset(earlier)
    run = source.run_with([key], new_only=new_only)
    assert (run.id if run else None) == found


def test_a_run_on_other_files_is_not_the_one(stand, source, key):
    ran(stand, "one")
    stand.arrive("b.csv", flights(4, 2))
    keys = [record.key for record in stand.ledger.data("flights")]
    assert source.run_with(keys, new_only=True) is None


def test_a_run_that_is_written_down_but_not_started_is_waited_for(stand, source, key):
    ran(stand, "one", STARTING)
    stand.account.executions.clear()
    assert source.run_with([key], new_only=True) is None


def test_a_run_step_functions_has_forgotten_is_told_by_the_ledger(stand, source, key):
    ran(stand, "one")
    stand.account.executions.clear()
    run = source.run_with([key], new_only=False)
    assert (run.id, run.status, run.usd, run.rows) == ("one", "SUCCEEDED", 0.002, 4)
    assert source.describe(run) == run


def test_a_run_brings_its_data_version_and_its_cost(stand, source, key):
    record = ran(stand, "one")
    run = source.run_with([key], new_only=True)
    assert (run.data_version, run.attempt, run.usd) == (record.data_version, 1, 0.002)


def test_objects_the_window_does_not_reach_are_not_wanted(stand, source, key):
    stand.arrive("later.csv", flights(4, 20))
    later = next(one.key for one in stand.ledger.data("flights") if one.key != key)
    source.spec = replace(stand.spec, training=replace(stand.spec.training, window="2 days"))
    assert source.wanted([key, later]) == [later]


def test_what_is_wanted_is_worked_out_again_after_a_while(stand, source, key):
    now = [0.0]
    source.clock = lambda: now[0]
    assert source.wanted([key]) == [key]
    stand.arrive("b.csv", flights(4, 2))
    other = next(one.key for one in stand.ledger.data("flights") if one.key != key)
    assert source.wanted([other]) == []
    now[0] = 60.0
    assert source.wanted([other]) == [other]


def test_a_delivery_that_waits_for_its_manifest_is_wanted_all_the_same(stand, source):
    stand.deploy(replace(stand.spec, triggers=replace(stand.spec.triggers, delivery="manifest")))
    stand.arrive("x/a.csv", flights(4))
    (record,) = stand.ledger.data("flights")
    assert source.wanted([record.key]) == [record.key]


def test_a_hold_is_read_from_the_plan(stand, source):
    assert source.held() is None
    stand.ledger.take_lease("flights", "me", 60)
    stand.ledger.hold("flights", "me", "cooldown", "too soon", START.timestamp())
    assert (source.held().rule, source.held().until) == ("cooldown", START)


def test_a_hold_without_an_end_ends_by_a_person():
    held = hold_of({"rule": "attempts", "reason": "r", "since": 1, "until": None})
    assert (held.until, held.words()) == (None, "held by attempts until a person starts it")
    assert (
        hold_of({"rule": "a", "reason": "r", "until": (START + SECOND).timestamp()}).until == START + SECOND
    )


@pytest.mark.parametrize(
    ("status", "run", "answers"),
    [(200, "one", True), (200, "zero", False), (400, "", True), (500, "", False)],
)
def test_a_row_that_is_refused_says_nothing_and_is_not_sent_again(
    stand, source, key, monkeypatch, status, run, answers
):
    ran(stand, "one")
    found = source.run_with([key], new_only=True)
    source.sample = {"carrier": "UA"}
    asked = []

    def ask(*_given):
        asked.append(1)
        return Answer(status=status, body=b"", content_type="application/json", run=run)

    monkeypatch.setattr(aws_source, "ask", ask)
    assert source.answers(found) is answers
    source.answers(found)
    assert len(asked) == (1 if status == 400 else 2)


def test_a_pushed_version_is_looked_up_in_the_ledger(stand, source, tmp_path):
    from upkeep import data, deliveries

    path = tmp_path / "a.csv"
    path.write_text(flights(4))
    (upload,) = deliveries.plan(stand.model, [path], stand.ledger).uploads
    upload = data.send(stand.context, upload, lambda _count: None)
    stand.take_in(upload.key, upload.version_id)
    assert source.look(upload).state == "accepted"
