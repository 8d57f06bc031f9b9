"""One fault at one call of a small story, at call after call: wherever a function ends, the next goes on."""

import pytest

from tests.faults.conftest import EXAMPLES
from tests.faults.nemesis import HANG, KILL_AFTER, KILL_BEFORE, LOSE, OUTAGE, Strike
from tests.faults.stories import BURST, PUSH, Step, Story, broken, play

# A good file, one with a bad row, one that is refused.
STEPS = (Step(PUSH, 1), Step(PUSH, 4), Step(PUSH, 5))
KINDS = (KILL_BEFORE, KILL_AFTER, LOSE, HANG, OUTAGE)
# How many calls lie between two that are struck; all are when more examples are asked for.
STRIDE = 1 if EXAMPLES else 11


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_any_one_call_breaks_no_promise(kind):
    calls = play(Story(STEPS, interleave=0.0)).nemesis.calls
    assert calls > 50
    for call in range(1 + KINDS.index(kind), min(calls, 160), STRIDE):
        story = Story(STEPS, interleave=0.0, strikes=(Strike(call, kind),))
        assert not broken(story), call


def test_two_faults_in_a_row_break_no_promise():
    for call in range(1, 80, 8 * STRIDE):
        for gap in (1, 2, 7):
            strikes = (Strike(call, KILL_AFTER), Strike(call + gap, LOSE))
            assert not broken(Story((Step(BURST, 3),), interleave=0.0, strikes=strikes)), (call, gap)
