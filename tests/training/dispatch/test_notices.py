"""People read names, reasons and what to do; never a value of a row."""

from hypothesis import given
from hypothesis import strategies as st

from training.dispatch import notices
from training.dispatch.deliveries import Delivery
from training.dispatch.policy import Hold
from training.ledger.records import DeliveryRecord, QuarantineRecord, RunRecord

BASE = "upkeep-dev-flights"


def entry(**values):
    known = {
        "model": "toy",
        "id": "0123456789abcdef",
        "key": "quarantine/toy/x",
        "name": "x.csv",
        "size": 1234567,
    }
    return QuarantineRecord(**(known | values))


def finding(**values):
    return {
        "column": "size",
        "rule": "range",
        "count": 3,
        "text": "found 4711",
        "examples": [{"value": "4711"}],
    } | values


@given(st.text(max_size=300), st.text(max_size=300), st.lists(st.text(max_size=50), max_size=30))
def test_whatever_files_are_called_the_subject_is_one_that_sns_takes(base, folder, names):
    entries = [entry(name=name, source=name) for name in names] or [entry()]
    for notice in (
        notices.quarantined(f"u{base}", folder, entries),
        notices.held(f"u{base}", Hold("max_per_day", folder)),
        notices.overdue(
            f"u{base}", Delivery(_record(folder, names), frozenset(), tuple(names), tuple(names)), 60
        ),
    ):
        assert 0 < len(notice.subject) < 100
        assert notice.subject.isascii()
        assert notice.subject.isprintable()
        assert not notice.subject.startswith(" ")
        assert all(line.isprintable() or not line.isascii() for line in notice.text.split("\n"))
        assert len(notice.text.encode()) < 262_144


def _record(folder, names):
    return DeliveryRecord(model="toy", folder=folder, files=[{"name": name} for name in names], first_at=0)


def test_reasons_name_columns_and_rules_but_no_values():
    findings = [
        finding(),
        finding(column="kind", rule="values", count=1),
        finding(column=None, rule="header", count=1, text="the header is 2013-01-01,UA,4711"),
        finding(column=None, rule="model", count=1, text="no model 'fligths' in this stack"),
    ]
    text = notices.quarantined(
        BASE, "", [entry(findings=findings, sample=[{"values": {"size": "4711"}}])]
    ).text
    assert "x.csv (1,234,567 bytes), id 0123456789abcdef" in text
    assert "    size: range, 3 rows\n    kind: values, 1 row\n    the file: header" in text
    assert "no model 'fligths' in this stack" in text
    assert "4711" not in text


def test_many_files_and_many_reasons_are_counted():
    text = notices.quarantined(BASE, "d1", [entry(findings=[finding()] * 9)] * 21).text
    assert text.startswith("21 files of delivery d1 did not keep the contract")
    assert text.count("and 4 more reasons") == 20
    assert "and 1 more file\n" in text


def test_a_hold_says_until_when_and_what_to_do():
    notice = notices.held(BASE, Hold("max_per_day", "3 runs were started", 1_800_000_000.0))
    assert notice.subject == "upkeep-dev-flights: training held back by max_per_day"
    assert "The next training is held back: 3 runs were started." in notice.text
    assert "after 2027-01-15 08:00:00 UTC" in notice.text
    assert "upkeep runs start --force" in notice.text
    assert "triggers.max_per_day" in notice.text


def test_a_data_set_that_is_given_up_names_its_runs():
    runs = [RunRecord(model="toy", run_id="r1", data_version="v", reason="CUDA\nout of memory")]
    notice = notices.held(BASE, Hold("attempts", "3 runs have failed"), runs)
    assert notice.subject == "upkeep-dev-flights: data set given up"
    assert "run r1: CUDA out of memory" in notice.text
    assert "triggers.attempts" not in notice.text


def test_an_overdue_delivery_says_what_is_missing():
    record = _record("2026-11", ["a.csv", "b.csv"])
    text = notices.overdue(BASE, Delivery(record, frozenset(), ("b.csv",), ("c.csv",)), 3600).text
    assert "not complete after 3,600 seconds" in text
    assert "(2 listed):\n    b.csv\n" in text
    assert "these files wait:\n    c.csv\n" in text
