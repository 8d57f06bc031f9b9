"""Streams of deliveries with faults: whatever happens, the promises hold. They are listed in ``checker``."""

from hypothesis import given

from tests.faults.conftest import told
from tests.faults.nemesis import HANG, KILL_AFTER, KILL_BEFORE, LOSE, OUTAGE, THROTTLE
from tests.faults.stories import broken, rates, tellable


def hold(story):
    """Fail with the promises that the story breaks."""
    found = broken(story)
    assert not found, "\n".join(found)


@told(15)
@given(tellable(rates=(), stretches=(), lost=0.0, lost_endings=0.0))
def test_nothing_is_lost_or_done_twice_when_events_come_often_late_and_in_any_order(story):
    hold(story)


@told(10)
@given(tellable(rates=(), stretches=(), strikes=(), duplicates=0.0, delay_seconds=0.0, interleave=0.5))
def test_people_hear_of_everything_once_as_long_as_nothing_crashes(story):
    hold(story)


@told(20)
@given(tellable(stretches=(), rates=rates(0.001, 0.03, (KILL_BEFORE, KILL_AFTER, HANG, LOSE))))
def test_nothing_is_lost_or_done_twice_when_functions_die_between_any_two_calls(story):
    hold(story)


@told(15)
@given(tellable(rates=rates(0.01, 0.3, (THROTTLE, OUTAGE, LOSE))))
def test_nothing_is_lost_or_done_twice_when_aws_answers_badly(story):
    hold(story)


@told(20)
@given(tellable())
def test_the_promises_hold_whatever_happens(story):
    hold(story)
