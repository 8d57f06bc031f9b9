"""An entry fits into the ledger whatever the file holds, and one content has one entry."""

import json
from dataclasses import replace

from tests.training.examples import declare
from training.contract.findings import Finding, Report
from training.intake.arrivals import arrival
from training.intake.objects import Opened
from training.intake.refusals import entry_of, quarantine_id, reason_text, refusal
from training.ledger.records import QuarantineRecord

FILE = arrival("incoming/toy/day 1/a.csv", "v1")
OPENED = Opened(FILE.key, "v1", '"etag"', 12, None)


def _entry(report, found=None, sha256="ab" * 32):
    return entry_of(FILE, OPENED, sha256, report, declare(), found)


def test_a_content_has_one_name_and_one_too_big_to_read_has_one_by_what_s3_says():
    assert quarantine_id("ab" * 32, OPENED) == "ab" * 8
    unread = quarantine_id(None, OPENED)
    assert len(unread) == 16
    assert unread == quarantine_id(None, replace(OPENED, version_id="v2"))
    assert unread != quarantine_id(None, replace(OPENED, size=13))


def test_an_entry_fits_into_an_item_however_much_is_wrong(clock):
    findings = tuple(Finding(f"c{n}", "type", 9, "x" * 3000, ({"row": 1, "value": "y"},)) for n in range(100))
    sample = tuple({"row": n, "reasons": ["type"], "values": {"c": "ä" * 100_000}} for n in range(20))
    entry = _entry(Report(findings=findings, sample=sample))
    size = len(json.dumps(entry.to_item()).encode())
    assert size < 300_000
    assert entry.findings[0]["column"] == "c0"
    assert len(entry.sample) == 20
    assert entry.sample[0]["row"] == 0


def test_the_reason_file_holds_everything(clock):
    report = Report(
        findings=(Finding("size", "type", 3, "3 rows are no numbers", ({"row": 1, "value": "x"},)),),
        sample=({"row": 1, "reasons": ["type"], "values": {"size": "x"}},),
        diff={"renamed": {"siz": "size"}},
        format={"kind": "csv"},
        dropped=3,
    )
    entry = _entry(report)
    found = json.loads(reason_text(FILE, OPENED, report, declare(), entry))
    assert found["findings"][0]["examples"] == [{"row": 1, "value": "x"}]
    assert found["sample"] == [{"row": 1, "reasons": ["type"], "values": {"size": "x"}}]
    assert (found["diff"], found["format"]) == ({"renamed": {"siz": "size"}}, {"kind": "csv"})
    assert (found["delivery"], found["model"], found["dropped"]) == ("day 1", "toy", 3)
    assert found["at"].endswith("+00:00")


def test_an_open_entry_keeps_its_beginning_and_learns_the_newest_reason(clock):
    first = replace(_entry(refusal("file", "old")), announced=True)
    clock.at += 60
    again = _entry(refusal("file", "new"), first)
    assert (again.seen, again.at, again.last_at) == (2, clock.at - 60, clock.at)
    assert (again.reason, again.announced) == ("new", True)


def test_an_entry_in_release_stays_so(clock):
    found = QuarantineRecord(model="toy", id="x", key="q", state="releasing", by="ann")
    again = _entry(refusal("file", "still bad"), found)
    assert (again.state, again.by, again.seen) == ("releasing", "ann", 2)
