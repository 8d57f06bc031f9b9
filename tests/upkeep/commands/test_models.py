import re
import sys
from dataclasses import replace

import pytest
from rich.console import Console

from tests.training.lambdas import ARTIFACTS
from tests.upkeep.shelf import GROUP, releases, takes_back
from tests.upkeep.stand import ACTOR, flights
from tests.upkeep.test_rows import SPEC
from upkeep import render


@pytest.fixture
def two(shelf):
    """Version 1.0.1 serves, 1.1.0 waits for a person."""
    shelf.add(1, "1.0.1", score=0.70)
    shelf.add(2, "1.1.0", approval="PendingManualApproval", score=0.72)
    shelf.serve(1, 0)
    shelf.release = releases
    return shelf


def test_the_list_marks_what_serves_and_says_what_waits(two, operate):
    said = operate("models")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].split() == [
        "VERSION",
        "NO",
        "RUN",
        "STATE",
        "METRIC",
        "SCORE",
        "GAIN",
        "ROWS",
        "WHEN",
    ]
    assert re.match(
        r"  +1\.1\.0 +2 +2abc0000 +pending +roc_auc +0\.7200 +\+0\.0100 +1,000 +2026-11-23", lines[1]
    )
    assert re.match(r"▸ +1\.0\.1 +1 +1abc0000 +live ", lines[2])
    assert re.match(r" +1\.0\.0 +0 +seed +superseded ", lines[3])
    assert "flights: version 1.1.0 waits: `upkeep models approve 2` or `reject 2`." in said.out


def test_the_list_as_json_has_the_same_versions(two, operate):
    data = operate("models", "--json").data
    assert [(one["version"], one["state"]) for one in data] == [
        ("1.1.0", "pending"), ("1.0.1", "live"), ("1.0.0", "superseded"),
    ]  # fmt: skip


def test_a_rollout_and_an_experiment_are_told_below_the_list(two, operate):
    two.serve(1, 0, owner="arn:x", operation="release", version="1.1.0", phase="updating", experiment="x1")
    said = operate("models", "list").out
    assert "flights: release of 1.1.0 is under way (updating)." in said
    assert "flights: experiment x1 is on: 1.0.1 100%." in said


def test_what_serves_and_is_not_registered_is_told(two, operate):
    two.urls[two.config] = [("AllTraffic", "s3://elsewhere/m.tar.gz", 1.0)]
    assert "what serves is none of these: s3://elsewhere/m.tar.gz" in operate("models").out


CHECKS = [
    {"name": "gain", "passed": True, "found": 0.0123456, "limit": 0.0, "words": "better by 0.012"},
    {"name": "slice carrier=UA", "passed": False, "found": 0.08, "limit": 0.05, "words": "loses 0.08"},
]


def test_one_version_is_shown_with_its_decision_checks_metrics_and_digests(two, operate):
    facts = {"code_digest": "c0de", "approver": "Anna", "approval_comment": "looks good", "files": "12"}
    two.add(3, "1.2.0", checks=CHECKS, score=0.73, **facts)
    said = operate("models", "show", "1.2.0").out
    assert re.search(r"^reason +better by 0\.01$", said, re.MULTILINE)
    assert re.search(r"^approver +Anna$", said, re.MULTILINE)
    assert re.search(r"^comment +looks good$", said, re.MULTILINE)
    assert re.search(r"^passed +gain +0\.0123 +0\.0000 +better by 0\.012$", said, re.MULTILINE)
    assert re.search(r"^failed +slice carrier=UA ", said, re.MULTILINE)
    assert re.search(r"^roc_auc +0\.7300 +0\.7200$", said, re.MULTILINE)
    assert re.search(r"^code +c0de$", said, re.MULTILINE)
    assert re.search(r"^files +12$", said, re.MULTILINE)


def test_the_seed_is_shown_though_nobody_decided_about_it(two, operate):
    said = operate("models", "show", "seed")
    assert (said.code, said.err) == (0, "")
    assert re.search(r"^roc_auc +0\.6000 +-$", said.out, re.MULTILINE)


def test_what_cannot_be_read_is_named_and_the_rest_is_shown(two, operate):
    two.add(3, "1.2.0", artifact=False)
    two.stand.s3.delete_object(Bucket=ARTIFACTS, Key=f"decisions/flights/3abc{3:016d}.json")
    said = operate("models", "show", "3").out
    assert "Not read: decision: nothing at s3://" in said
    assert "Not read: evaluation: s3://" in said
    assert re.search(r"^roc_auc +0\.7000 +-$", said, re.MULTILINE)


def test_a_decision_that_was_changed_afterwards_is_told(two, operate):
    key = f"decisions/flights/2abc{2:016d}.json"
    two.stand.s3.put_object(Bucket=ARTIFACTS, Key=key, Body=b'{"decision": "promote", "reason": "trust me"}')
    assert "not the one that was registered" in operate("models", "show", "2").out
    assert operate("models", "show", "2", "--json").data["decision_unchanged"] is False
    assert operate("models", "show", "1", "--json").data["decision_unchanged"] is True


def test_the_whole_version_is_one_json_document(two, operate):
    data = operate("models", "show", "live", "--json").data
    assert (data["version"], data["spec"]["name"], data["missing"]) == ("1.0.1", "flights", [])
    assert data["evaluation"]["challenger"]["roc_auc"] == 0.7


def test_the_report_is_saved_and_its_place_is_said(two, operate, tmp_path):
    key = f"decisions/flights/2abc{2:016d}.html"
    two.stand.s3.put_object(Bucket=ARTIFACTS, Key=key, Body=b"<html>")
    target = tmp_path / "report.html"
    said = operate("models", "show", "2", "--report", target)
    assert target.read_bytes() == b"<html>"
    assert str(target) in said.out
    operate("models", "show", "2", "--report", tmp_path)
    assert (tmp_path / "flights-1.1.0.html").exists()


def test_a_version_without_a_report_says_so(two, operate, tmp_path):
    for version in ("2", "seed"):
        said = operate("models", "show", version, "--report", tmp_path / "r.html")
        assert said.code == 1
        assert "has no report" in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_report_in_another_bucket_is_not_fetched(two, operate, tmp_path):
    two.add(3, "1.2.0", report_uri="s3://elsewhere/r.html")
    assert "is not in the stack's bucket" in operate("models", "show", "3", "--report", tmp_path / "r").err


def test_the_seed_has_no_model_card(two, operate):
    said = operate("models", "show", "seed", "--card")
    assert (said.code, said.out) == (1, "")
    assert "There is no model card of version 1.0.0" in said.err


def test_a_difference_shows_data_features_hyperparameters_and_metrics(two, operate):
    training = replace(SPEC.training, hyperparameters={"max_iter": 50}, seed=7)
    features = tuple(f for f in SPEC.features if f.name != "night")
    two.add(
        3, "2.0.0", spec=replace(SPEC, training=training, features=features), score=0.75, code_digest="b" * 64
    )
    said = operate("models", "diff", "1.0.1", "2.0.0").out
    assert "flights  1.0.1 (number 1, live) → 2.0.0 (number 3, approved)" in said
    assert "- night: type boolean" in said
    assert "+ max_iter: 50" in said
    assert "~ training.seed: 0 → 7" in said
    assert f"+ code: {'b' * 12}" in said
    assert re.search(r"^roc_auc +0\.7000 +0\.7500 +\+0\.0500$", said, re.MULTILINE)
    assert "1.0.1: distance, carrier" in said
    assert "The lists of files are not recorded for both." in said


def test_a_difference_lists_the_files_of_recorded_data_versions(shelf, operate):
    shelf.stand.arrive("a.csv", flights(6))
    first = shelf.stand.train(decision="refuse")
    shelf.stand.arrive("b.csv", flights(4, day=2))
    second = shelf.stand.train(decision="refuse")
    for number, run in ((1, first), (2, second)):
        shelf.add(number, f"1.0.{number}", data_version=run.data_version, manifest_uri=run.manifest_uri)
    said = operate("models", "diff", "1", "2")
    assert "rows      6 → 10 (+4)" in said.out
    assert re.search(r"^\+ accepted/flights/\S+$", said.out, re.MULTILINE)
    data = operate("models", "diff", "1", "2", "--json").data
    assert (data["data"]["rows"], len(data["data"]["added"]), data["data"]["removed"]) == ([6, 10], 1, [])


def test_a_version_does_not_differ_from_itself(two, operate):
    two.stand.arrive("a.csv", flights(6))
    run = two.stand.train(decision="refuse")
    two.add(3, "1.2.0", data_version=run.data_version)
    assert "The same data, spec and code." in operate("models", "diff", "3", "3").out


def test_an_approval_is_recorded_with_who_gave_it_and_the_release_is_followed(two, operate):
    said = operate("models", "approve", "1.1.0", "--comment", "checked; it's (really) good")
    assert said.code == 0, said.err
    (update,) = two.updates()
    known = update["CustomerMetadataProperties"]
    assert update["ModelApprovalStatus"] == "Approved"
    assert update["ApprovalDescription"].startswith(f"Approved by {ACTOR}")
    assert update["ApprovalDescription"].endswith(": checked; it's (really) good")
    assert known["approver"].startswith(ACTOR)
    assert known["approval_comment"] == "checked it s really good"
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", known["approved_at"])
    assert re.fullmatch(r"[\w\s.:/=+\-@]*", "".join(known.values()))
    assert "Release of version 1.1.0" in said.out
    assert "Move the traffic" in said.out
    assert re.search(r"^released after .*Version 1\.1\.0 serves\.$", said.out, re.MULTILINE)


def test_an_approval_as_json_is_one_document_with_the_outcome(two, operate):
    said = operate("models", "approve", "2", "--json")
    assert (said.code, said.data["outcome"], said.data["version"]) == (0, "released", "1.1.0")
    assert [phase["name"] for phase in said.data["phases"]] == ["Begin", "Check", "Move the traffic"]


def test_a_release_that_is_taken_back_is_7_with_its_reason(two, operate):
    two.release = takes_back
    said = operate("models", "approve", "2")
    assert said.code == 7
    assert "rolled back after" in said.out
    assert "Version 1.1.0 was taken back: alarm upkeep-dev-flights-rollout-5xx rang." in said.out


def test_a_release_that_the_check_refuses_is_3_with_its_reason(two, operate):
    def refuses(shelf, given):
        shelf.mark(2, "refused", release_reason="p99 is 900 ms, at most 250")
        return "FAILED", "refused"

    two.release = refuses
    said = operate("models", "approve", "2", "--json")
    assert (said.code, said.data["outcome"]) == (3, "refused by the check")
    assert "Version 1.1.0 got no traffic: p99 is 900 ms, at most 250" in said.data["reason"]


def test_a_release_that_ends_without_an_error_and_without_serving_is_a_failure(two, operate):
    two.release = lambda *_: ("SUCCEEDED", "")
    said = operate("models", "approve", "2")
    assert said.code == 1
    assert "The release of version 1.1.0 ended, but version 1.0.1 serves." in said.out


def test_a_release_that_takes_too_long_is_a_timeout_that_says_what_it_waited_for(two, operate, monkeypatch):
    monkeypatch.setattr(type(two), "_execute", lambda *_: "")
    clock = iter(range(0, 100, 5))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    said = operate("models", "approve", "2", "--timeout", "1")
    assert said.code == 1
    assert "Not done after 1 s; it was waiting for the release to start." in said.out


def test_without_waiting_only_the_approval_is_told(two, operate):
    two.release = lambda *_: ("RUNNING", "")
    said = operate("models", "approve", "2", "--no-wait", "--json")
    assert (said.code, said.data["approved"], said.data["number"]) == (0, True, 2)


def test_an_approval_during_a_rollout_says_that_it_comes_after_it(two, operate):
    two.serve(1, 0, owner="arn:x", operation="release", package_arn=f"{GROUP}/9")
    assert "A release is under way; this one comes after it." in operate("models", "approve", "2").out


@pytest.mark.parametrize(
    ("prepare", "version", "said"),
    [
        ({}, "live", "serves already"),
        ({}, "seed", r"cannot be approved. `upkeep rollback seed` brings it back"),
        (
            {"decision": "refuse", "reason": "worse by 0.1"},
            "2",
            r"refused by the gate: worse by 0.1.*--override",
        ),
        ({"release": "rolled_back", "release_reason": "alarm rang"}, "2", "rolled back: alarm rang.*--again"),
        ({"release": "experiment", "release_reason": "tried in x1"}, "2", "experiment: tried in x1.*--again"),
        ({"release": "superseded"}, "2", "served before. `upkeep rollback 2`"),
        ({"approval": "Approved"}, "2", "is approved already, and its release has not begun"),
        ({}, "9", "has no version '9'"),
    ],
)
def test_an_approval_that_would_do_nothing_or_harm_is_refused(two, operate, prepare, version, said):
    two.add(2, "1.1.0", **{"approval": "Rejected", **prepare})
    answer = operate("models", "approve", version)
    assert answer.code == 1
    assert re.search(said, answer.err), answer.err
    assert two.updates() == []


def test_what_is_in_an_experiment_is_neither_approved_nor_rejected(two, operate):
    two.urls[two.config] = [("AllTraffic", two.url(1), 0.9), ("Challenger", two.url(2), 0.1)]
    assert "`upkeep experiment stop --promote` releases it" in operate("models", "approve", "2").err
    assert "`upkeep experiment stop` ends it" in operate("models", "reject", "2", "--reason", "x").err
    assert "`upkeep experiment stop --promote` makes it serve alone" in operate("rollback", "2").err
    assert two.updates() == []


def test_what_is_being_released_is_neither_approved_nor_rejected(two, operate):
    two.serve(1, 0, owner="arn:x", operation="release", package_arn=f"{GROUP}/2")
    assert "is being released" in operate("models", "approve", "2").err
    assert "`upkeep rollback` stops that" in operate("models", "reject", "2", "--reason", "x").err


def test_what_the_gate_refused_needs_an_override_and_a_comment(two, operate):
    two.add(3, "1.2.0", approval="Rejected", decision="refuse", reason="worse")
    assert "say why with --comment" in operate("models", "approve", "3", "--override").err
    assert two.updates() == []
    assert operate("models", "approve", "3", "--override", "--comment", "the holdout was wrong").code == 0
    assert two.updates()[0]["CustomerMetadataProperties"]["overridden"] == "gate"


def test_again_clears_what_stopped_a_version(two, operate):
    two.add(3, "1.2.0", approval="Rejected", release="rolled_back", release_reason="alarm rang")
    assert operate("models", "approve", "3", "--again").code == 0
    (update,) = two.updates()
    assert update["CustomerMetadataProperties"]["release"] == "retry"


def test_again_raises_an_event_also_of_what_is_approved(two, operate):
    two.add(3, "1.2.0")
    assert operate("models", "approve", "3", "--again").code == 0
    assert [one["ModelApprovalStatus"] for one in two.updates()] == ["PendingManualApproval", "Approved"]


def test_of_two_people_the_second_is_told_that_something_changed(two, operate, monkeypatch):
    from upkeep import approvals

    before = approvals.check_approval

    def meanwhile(*arguments, **options):
        before(*arguments, **options)
        two.versions[2]["ModelApprovalStatus"] = "Rejected"

    monkeypatch.setattr(approvals, "check_approval", meanwhile)
    said = operate("models", "approve", "2")
    assert said.code == 1
    assert "changed in the meantime: it is Rejected now" in said.err
    assert two.updates() == []


def test_a_rejection_is_recorded_with_who_gave_it(two, operate):
    said = operate("models", "reject", "2", "--reason", "wrong month")
    assert said.code == 0
    assert said.out.startswith(f"Rejected version 1.1.0 of flights as {ACTOR}")
    (update,) = two.updates()
    assert update["ModelApprovalStatus"] == "Rejected"
    assert update["CustomerMetadataProperties"]["approval_comment"] == "wrong month"
    assert operate("models", "--json").data[0]["state"] == "rejected"
    assert "is rejected already" in operate("models", "reject", "2", "--reason", "again").err


@pytest.mark.parametrize(
    ("version", "said"),
    [("live", "serves. `upkeep rollback` takes it back"), ("seed", "cannot be rejected")],
)
def test_what_serves_is_not_rejected(two, operate, version, said):
    assert said in operate("models", "reject", version, "--reason", "x").err
    assert two.updates() == []


def test_a_rejection_needs_a_reason(two, operate):
    assert operate("models", "reject", "2").code == 2
    assert "say why" in operate("models", "reject", "2", "--reason", " ").err


def test_a_rejected_version_is_approved_by_changing_ones_mind(two, operate):
    operate("models", "reject", "2", "--reason", "wrong month")
    assert operate("models", "approve", "2", "--comment", "right month").code == 0


def test_on_a_terminal_of_80_columns_a_version_is_one_line(two, operate, monkeypatch):
    monkeypatch.setattr(render, "is_terminal", lambda _out: True)
    monkeypatch.setattr(render, "console", lambda stream=None: Console(file=stream or sys.stdout, width=80))
    lines = operate("models").out.splitlines()
    assert lines[0].split() == ["version", "no", "run", "state", "roc_auc", "gain", "rows", "when"]
    assert re.match(
        r"▸ +1\.0\.1 +1 +1abc0000 +live +0\.7000 +\+0\.0100 +1,000 +2026-11-22$", lines[2].rstrip()
    )
    assert re.match(r" +1\.0\.0 +0 +seed +superseded", lines[3])
