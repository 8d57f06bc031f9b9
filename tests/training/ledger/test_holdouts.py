"""How often the same rows were decided on is counted by share, and once per run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.ledger.holdouts import HoldoutRecord, shares_used

FRESH = {"days": {"2013-01-27": 800, "2013-01-28": 200}}


def _note(ledger, run_id, days, at):
    return ledger.record_holdout(
        HoldoutRecord(model="toy", run_id=run_id, days=days, rows=sum(days.values()), at=at)
    )


def test_fresh_rows_were_never_used(ledger):
    _note(ledger, "r1", {"2013-01-26": 900}, 1.0)
    assert ledger.holdout_uses("toy", FRESH, "r2") == 0.0


def test_a_decision_on_some_of_the_rows_counts_by_their_share(ledger):
    _note(ledger, "r1", FRESH["days"], 1.0)
    _note(ledger, "r2", {"2013-01-28": 900}, 2.0)
    _note(ledger, "r3", {"2013-01-27": 400}, 3.0)
    assert ledger.holdout_uses("toy", FRESH, "r4") == pytest.approx(1 + 0.2 + 0.4)


def test_another_models_decisions_do_not_count(ledger):
    ledger.record_holdout(HoldoutRecord(model="other", run_id="r1", days=FRESH["days"], rows=1000, at=1.0))
    assert ledger.holdout_uses("toy", FRESH, "r2") == 0.0


def test_a_run_that_is_decided_on_again_counts_once_and_finds_the_same_number(ledger):
    assert _note(ledger, "r1", FRESH["days"], 1.0)
    first = ledger.holdout_uses("toy", FRESH, "r2")
    assert _note(ledger, "r2", FRESH["days"], 2.0)
    assert _note(ledger, "r3", FRESH["days"], 3.0)
    assert not _note(ledger, "r2", FRESH["days"], 4.0)
    assert ledger.holdout_uses("toy", FRESH, "r2") == first == 1.0
    assert ledger.holdout_uses("toy", FRESH, "r4") == 3.0


def test_a_record_is_read_back_as_it_was_written(ledger):
    record = HoldoutRecord(model="toy", run_id="r1", days=FRESH["days"], rows=1000, at=1.5)
    ledger.record_holdout(record)
    assert ledger.holdouts("toy") == [record]


days = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(1, 50), min_size=1)


@given(days, st.lists(days, max_size=4))
def test_no_decision_counts_for_more_than_one(today, earlier):
    used = shares_used(today, earlier)
    assert 0 <= used <= len(earlier) + 1e-9
    assert shares_used(today, [*earlier, today]) == pytest.approx(used + 1)
