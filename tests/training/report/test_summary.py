"""The summary is short, begins with the verdict, and holds the numbers and the way to more."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.gate.examples import part
from tests.training.report.examples import HOSTILE, decision, documents, evaluation, spec
from training.report import summary
from training.report.summary import MOST


def test_it_says_what_was_decided_why_and_how_to_look_further():
    decided, found, _ = documents()
    lines = summary.text(decided, found).splitlines()
    assert lines[0] == "toy 1.2.3 promoted, waits for a person's approval"
    assert lines[2] == f"{decided['reason']}."
    assert lines[-1] == "More: upkeep models show 1.2.3 --model toy --report toy.html"


def test_it_holds_the_numbers_of_the_evaluation():
    decided, found, _ = documents()
    lines = summary.text(decided, found).splitlines()
    low = f"at least +{decided['gain_low']:.4f}"
    assert f"roc_auc: 0.7562, champion 0.7276, gain +0.0286 ({low})" in lines
    assert "log_loss: 0.4711, champion 0.4698, gain \u22120.0013" in lines
    assert "Rows: 63,280 fitted on, 26,720 compared on, 31 dropped, 2 files" in lines
    assert "Held out: 2013-05-02 to 2013-05-31, decision 1 on these rows" in lines
    assert "Serving: 99 of 100 single rows within 0.6 ms, 0.6 MB unpacked" in lines


def test_slices_that_lost_are_told_the_worst_first():
    found, declared = evaluation(), spec()
    found["slices"] = [
        part(0.01, 0.02, feature="kind", value="a", rows=300),
        part(0.2, 0.01, feature="kind", value="b", rows=400),
        part(-0.1, feature="kind", value="c"),
    ]
    text = summary.text(decision(found, declared), found)
    assert (
        "Slices that lost: kind b by 0.2000 (too much, 400 rows); "
        "kind a by 0.0100 (allowed, perhaps by chance, 300 rows)" in text
    )
    assert "refused: " not in text


def test_no_slice_lost_is_said_and_no_slice_looked_at_is_not():
    found, declared = evaluation(), spec()
    found["slices"] = [part(-0.1, feature="kind")]
    assert "No slice lost." in summary.text(decision(found, declared), found)
    found["slices"] = []
    assert "lice" not in summary.text(decision(found, declared), found)


def test_all_that_failed_is_told_once():
    found = evaluation(latency={"p99_milliseconds": 900.0}, artifact_bytes=10**10)
    decided = decision(found, spec())
    text = summary.text(decided, found)
    assert text.count("99 of 100 single rows are answered in 900 ms") == 1
    assert "Failed too:\n- the unpacked model has 1e+04 MB" in text


def test_a_first_model_and_an_old_evaluation_have_a_summary():
    decided, found, _ = documents(champion=False)
    assert "roc_auc: 0.7562\n" in summary.text(decided, found)
    old = summary.text(
        {"model": "toy", "run_id": "r12345678", "decision": "refuse", "reason": "refused: no"}, {}
    )
    assert old.startswith("toy r1234567 refused\n\nno.\n")


@pytest.mark.parametrize("text", HOSTILE)
def test_long_and_strange_texts_leave_the_verdict_and_the_way_to_more(text):
    decided, found, _ = documents()
    decided["reason"] = text * 3
    decided["checks"] = [{"name": text, "words": text, "passed": False}] * 50
    found["slices"] = [part(0.5, feature=text, value=text)] * 50
    found["challenger"] = {text: 0.5}
    written = summary.text(decided, found)
    assert len(written) <= MOST
    assert written.startswith("toy 1.2.3 promoted")
    assert written.endswith("--report toy.html")
    assert not set("\x00\x1b\u202e\ud800") & set(written)


@given(data=st.data())
def test_whatever_is_missing_there_is_a_summary(data):
    decided, found, _ = deepcopy(documents())
    for source in (decided, found):
        for name in data.draw(st.lists(st.sampled_from(sorted(source)), max_size=6)):
            source[name] = data.draw(st.sampled_from([None, "", [], {}, float("nan"), [None], -1]))
    written = summary.text(decided, found)
    assert len(written) <= MOST
    assert "More: upkeep models show" in written
