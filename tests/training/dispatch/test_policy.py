"""Whatever arrives, the limits hold; and what is not held back is trained on."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.spec import Triggers
from tests.training.dispatch.histories import WORST_USD, Life, forcing, live, steps, triggers
from training.dispatch import policy
from training.dispatch.policy import Hold, Nothing, Start, View, Wait, decide
from training.ledger.records import FAILED, RELEASING, RUNNING, STARTING, SUCCEEDED, RunRecord

DAY = 86_400
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
FREE = Triggers(quiet_seconds=0, cooldown_seconds=0, max_per_day=1000, max_usd_per_month=1e6)
histories = st.lists(steps, max_size=30)
with_people = st.lists(steps | forcing, max_size=30)


def run(state=SUCCEEDED, at=NOON - 7 * DAY, **values):
    given_values = {"run_id": "r0", "data_version": "v1", "worst_usd": WORST_USD, "usd": 1.0} | values
    return RunRecord(model="toy", state=state, started_at=at, **given_values)


def view(triggers=FREE, wanted="v2", runs=(), **values):
    return View(triggers=triggers, wanted=wanted, runs=runs, **({"worst_usd": WORST_USD} | values))


@given(triggers, histories)
def test_never_more_than_max_per_day_in_any_24_hours(triggers, history):
    starts = [at for at, *_ in live(triggers, history).starts]
    for first in starts:
        assert sum(first <= at < first + DAY for at in starts) <= triggers.max_per_day


@given(triggers, histories)
def test_starts_are_a_cooldown_apart(triggers, history):
    starts = [at for at, *_ in live(triggers, history).starts]
    assert all(b - a >= triggers.cooldown_seconds for a, b in pairwise(starts))


@given(triggers, histories)
def test_a_month_never_costs_more_than_its_ceiling_even_at_worst(triggers, history):
    life = live(triggers, history)
    by_month = {}
    for one in life.runs:
        cost = one.worst_usd if one.usd is None else one.usd
        month = datetime.fromtimestamp(one.started_at, UTC).strftime("%Y-%m")
        by_month[month] = by_month.get(month, 0) + cost
    assert all(cost <= triggers.max_usd_per_month + 1e-9 for cost in by_month.values())


@given(triggers, with_people)
def test_never_two_at_a_time_whoever_forces(triggers, history):
    live(triggers, history)  # every start asserts it


@given(triggers, with_people)
def test_no_data_version_is_trained_twice_unless_its_run_failed_or_another_came_between(triggers, history):
    life = live(triggers, history)
    done = []
    for one in life.runs:
        assert not done or one.data_version != done[-1]
        if one.state == SUCCEEDED:
            done.append(one.data_version)


@given(triggers, histories)
def test_without_people_each_data_version_succeeds_once_and_fails_three_times_at_most(triggers, history):
    runs = live(triggers, history).runs
    for version in {one.data_version for one in runs}:
        states = [one.state for one in runs if one.data_version == version]
        assert states.count(SUCCEEDED) <= 1
        assert len(states) <= policy.MAX_ATTEMPTS


@given(histories, st.sampled_from([0, 60, 900]))
def test_with_nothing_in_the_way_the_newest_data_is_trained_on_soon(history, quiet):
    life = live(replace(FREE, quiet_seconds=quiet), [step for step in history if step[0] != "end"])
    life.settle(wakes=10)
    assert (
        not life.wanted
        or [one.data_version for one in life.runs if one.state == SUCCEEDED][-1] == life.wanted
    )


@given(triggers, histories)
def test_held_back_is_not_forgotten(triggers, history):
    life = live(triggers, history)
    life.settle()
    failed = [one for one in life.runs if one.data_version == life.wanted and one.state == FAILED]
    given_up = len(failed) >= policy.MAX_ATTEMPTS
    trained = any(one.data_version == life.wanted and one.state == SUCCEEDED for one in life.runs)
    assert trained or given_up or not life.wanted


@given(triggers, with_people, st.floats(0, 40 * DAY))
def test_a_start_that_is_due_stays_due_until_something_happens(triggers, history, later):
    life = live(triggers, history)
    decision = decide(life.view(), life.now)
    if isinstance(decision, Start):
        assert decide(life.view(), life.now + later) == decision


# Closer to 1, the product is the time itself: a double has no room between two seconds of 2027.
@given(triggers, histories, st.floats(0, 0.9999))
def test_nothing_is_started_before_the_time_that_is_named(triggers, history, share):
    life = live(triggers, history)
    decision = decide(life.view(), life.now)
    if isinstance(decision, Wait | Hold) and decision.until:
        before = life.now + (decision.until - life.now) * share
        assert not isinstance(decide(life.view(), before), Start)
        again = decide(life.view(), decision.until)
        assert getattr(again, "rule", None) != getattr(decision, "rule", "none")


@given(triggers, histories)
def test_a_forced_run_starts_at_once_unless_one_is_under_way(triggers, history):
    life = live(triggers, history)
    life.push(99)
    life.forced = True
    decision = decide(life.view(), life.now)
    assert isinstance(decision, Wait if policy.under_way(life.runs) else Start)


@settings(max_examples=20)
@given(st.integers(1, 300))
def test_files_that_never_stop_arriving_are_trained_on_all_the_same(pushes):
    life = Life(replace(FREE, quiet_seconds=60))
    for content in range(pushes):
        life.push(content)
        life.wake()
        life.now += 30
        life.end(True, 0.1)
    assert len(life.starts) >= pushes * 30 // (policy.MAX_QUIET_PERIODS * 60 + 30) - 1


@pytest.mark.parametrize("state", [STARTING, RUNNING, RELEASING])
def test_what_is_under_way_is_waited_for_even_when_forced(state):
    assert decide(view(runs=(run(state),), forced=True), NOON) == Wait(
        f"{'the release of run' if state == RELEASING else 'run'} r0 is under way"
    )


def test_without_data_there_is_nothing_to_do():
    assert isinstance(decide(view(wanted=None, forced=True), NOON), Nothing)


def test_a_trained_data_version_is_not_trained_again_even_when_forced():
    assert isinstance(decide(view(wanted="v1", runs=(run(),), forced=True), NOON), Nothing)


def test_a_person_may_go_back_to_what_was_trained_on_before_the_last_model():
    runs = (run(), run(at=NOON - DAY, run_id="r1", data_version="v2"))
    assert isinstance(decide(view(wanted="v1", runs=runs), NOON), Nothing)
    assert decide(view(wanted="v1", runs=runs, forced=True), NOON) == Start("v1", 2, "person")


def test_a_failed_run_is_tried_again_under_the_next_number():
    assert decide(view(wanted="v1", runs=(run(FAILED),)), NOON) == Start("v1", 2, "retry")


def test_after_three_failures_only_a_person_starts_it_again():
    runs = tuple(run(FAILED, run_id=f"r{n}", attempt=n) for n in (1, 2, 3))
    held = decide(view(wanted="v1", runs=runs), NOON)
    assert (held.rule, held.until, held.is_announced) == ("attempts", None, True)
    assert decide(view(wanted="v1", runs=runs, forced=True), NOON) == Start("v1", 4, "person")
    assert decide(view(wanted="v2", runs=runs), NOON) == Start("v2", 1, "data")


def test_the_quiet_period_is_waited_for():
    quiet = replace(FREE, quiet_seconds=60)
    assert decide(view(quiet, last_arrival=NOON - 59), NOON) == Wait("files are still arriving", NOON + 1)
    assert isinstance(decide(view(quiet, last_arrival=NOON - 60), NOON), Start)


def test_with_manifests_a_complete_delivery_does_not_wait_for_quiet():
    triggers = replace(FREE, quiet_seconds=60, delivery="manifest")
    assert isinstance(decide(view(triggers, last_arrival=NOON), NOON), Start)


def test_a_cooldown_holds_back_without_a_notice():
    held = decide(view(replace(FREE, cooldown_seconds=600), runs=(run(at=NOON - 1),)), NOON)
    assert (held.rule, held.until, held.is_announced) == ("cooldown", NOON + 599, False)


def test_the_daily_limit_ends_when_the_oldest_start_that_counts_is_a_day_old():
    runs = tuple(run(at=NOON - hours * 3600, run_id=f"r{hours}") for hours in (1, 5, 23, 25))
    held = decide(view(replace(FREE, max_per_day=2), runs=runs), NOON)
    assert (held.rule, held.until) == ("max_per_day", NOON + 19 * 3600)
    assert isinstance(decide(view(replace(FREE, max_per_day=2), runs=runs), held.until), Start)


def test_money_is_counted_at_worst_until_the_cost_is_known():
    ceiling = replace(FREE, max_usd_per_month=25)
    unknown, known = run(at=NOON - DAY, usd=None), run(at=NOON - DAY, usd=6.0, run_id="r1")
    assert isinstance(decide(view(ceiling, runs=(known,)), NOON), Start)
    held = decide(view(ceiling, runs=(known, unknown)), NOON)
    assert (held.rule, held.until) == ("max_usd_per_month", datetime(2026, 12, 1, tzinfo=UTC).timestamp())
    assert isinstance(decide(view(ceiling, runs=(known, unknown)), held.until), Start)


def test_a_run_that_costs_more_than_the_whole_ceiling_waits_for_a_person():
    held = decide(view(replace(FREE, max_usd_per_month=9.99)), NOON)
    assert held == Hold(
        "max_usd_per_month", "one run may cost 10.00 USD, which is above the ceiling of 9.99 a month"
    )


def test_at_the_end_of_a_month_the_daily_limit_may_hold_longer_than_the_ceiling():
    night = datetime(2026, 11, 30, 23, tzinfo=UTC).timestamp()
    triggers = Triggers(quiet_seconds=0, cooldown_seconds=0, max_per_day=1, max_usd_per_month=15)
    held = decide(view(triggers, runs=(run(at=night, usd=9.0),)), night)
    assert (held.rule, held.until) == ("max_per_day", night + DAY)


def test_of_several_limits_the_one_that_holds_longest_is_named():
    triggers = Triggers(quiet_seconds=0, cooldown_seconds=600, max_per_day=1, max_usd_per_month=15)
    assert decide(view(triggers, runs=(run(at=NOON, usd=9.0),)), NOON).rule == "max_usd_per_month"
    assert decide(view(triggers, runs=(run(at=NOON, usd=0.1),)), NOON).rule == "max_per_day"


@pytest.mark.parametrize(
    ("now", "begins"),
    [
        ("2026-12-31T23:59:59+00:00", "2027-01-01T00:00:00+00:00"),
        ("2028-02-28T12:00:00+00:00", "2028-03-01T00:00:00+00:00"),
        ("2028-02-29T23:59:59+00:00", "2028-03-01T00:00:00+00:00"),
        ("2027-02-28T23:59:59+00:00", "2027-03-01T00:00:00+00:00"),
        ("2027-03-31T23:30:00-02:00", "2027-05-01T00:00:00+00:00"),
        ("2026-03-01T00:00:00+00:00", "2026-04-01T00:00:00+00:00"),
    ],
)
def test_months_are_calendar_months_in_utc(now, begins):
    at = datetime.fromisoformat(now).timestamp()
    assert policy.next_month(at) == datetime.fromisoformat(begins).timestamp()
    assert policy.month_start(policy.next_month(at)) == policy.next_month(at)
    assert policy.month_start(at) <= at < policy.next_month(at)


def test_what_ran_last_month_is_not_this_months_spending():
    end = datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC).timestamp()
    runs = (run(at=end, usd=7.0),)
    assert policy.spent(runs, end) == 7.0
    assert policy.spent(runs, end + 1) == 0.0
