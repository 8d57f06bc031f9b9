"""The newest rows are held out, and no model is scored on rows it was fitted on."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models.spec import Training
from training.errors import TrainingError
from training.splits import split, window_start

RULES = Training(holdout_share=0.2, holdout_min_rows=5)


def _times(minutes):
    return np.datetime64("2024-01-01T00:00:00", "us") + np.sort(np.array(minutes)) * np.timedelta64(60, "s")


def test_the_newest_share_is_held_out():
    assert split(_times(range(100)), RULES, None).start == 80


def test_rows_of_one_instant_stay_together():
    times = _times([*range(70), *([75] * 20), *range(80, 90)])
    assert split(times, RULES, None).start == 70


def test_the_holdout_is_cut_to_the_rows_after_the_champions_last_one():
    times = _times(range(100))
    result = split(times, RULES, times[85])
    assert (result.start, result.note) == (86, "")


def test_too_few_fresh_rows_are_not_compared_on_and_the_note_says_so():
    times = _times(range(100))
    result = split(times, RULES, times[96])
    assert result.start == 80
    assert "only 3 rows newer than the champion's last fitted row (2024-01-01T01:36:00" in result.note
    assert "at least 5 are needed" in result.note


def test_a_first_model_needs_the_least_number_of_rows_too():
    assert "only 2 rows to compare on" in split(_times(range(10)), RULES, None).note


def test_one_instant_for_all_rows_is_an_error():
    with pytest.raises(TrainingError, match="all 9 rows have the time 2024-01-01T00:03"):
        split(_times([3] * 9), RULES, None)


@given(
    st.lists(st.integers(0, 300), min_size=2, max_size=200),
    st.floats(0.05, 0.5),
    st.none() | st.integers(0, 300),
)
def test_no_row_held_out_is_as_old_as_one_fitted_on(minutes, share, known_minute):
    assume(len(set(minutes)) > 1)
    times = _times(minutes)
    known = None if known_minute is None else _times([known_minute])[0]
    result = split(times, Training(holdout_share=share, holdout_min_rows=5), known)
    assert 0 < result.start < len(times)
    assert times[result.start - 1] < times[result.start]
    if not result.note:
        assert len(times) - result.start >= 5
        assert known is None or times[result.start] > known


MINUTES = st.lists(st.integers(0, 5000), min_size=1, max_size=60)


@given(MINUTES, st.integers(1, 80))
def test_a_window_of_rows_keeps_exactly_so_many_of_the_newest(minutes, count):
    times = _times(minutes)
    start = window_start(times, Training(window=f"{count} rows"))
    assert len(times) - start == min(count, len(times))


@given(MINUTES, st.integers(1, 4))
def test_a_window_of_days_keeps_the_rows_later_than_so_many_days_before_the_newest(minutes, days):
    times = _times(minutes)
    start = window_start(times, Training(window=f"{days} days"))
    late = times > times[-1] - np.timedelta64(days * 24 * 60, "m")
    assert late[start:].all()
    assert not late[:start].any()
    assert start < len(times)


@given(MINUTES)
def test_without_a_window_all_rows_stay(minutes):
    assert window_start(_times(minutes), Training()) == 0
