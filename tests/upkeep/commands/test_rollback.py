import io
import re
import sys

import pytest

from tests.training.lambdas import ARTIFACTS
from tests.upkeep.fakes import refusal
from tests.upkeep.shelf import GROUP, goes_back
from tests.upkeep.stand import ACTOR


@pytest.fixture
def three(shelf):
    """Version 3 serves, 2 and 1 and the seed have served before it."""
    for number, version in ((1, "1.0.1"), (2, "1.1.0"), (3, "1.2.0")):
        shelf.add(number, version)
    shelf.serve(3, 2, 1, 0)
    shelf.release = goes_back
    return shelf


def lose(shelf, number):
    """Delete a version's artefact."""
    key = shelf.url(number).removeprefix(f"s3://{ARTIFACTS}/")
    shelf.stand.s3.delete_object(Bucket=ARTIFACTS, Key=key)


def test_without_a_version_it_goes_back_to_what_served_before(three, operate):
    said = operate("rollback", "--reason", "late flights are missed")
    assert said.code == 0, said.err
    (given,) = three.inputs()
    assert given.pop("by").startswith(ACTOR)
    assert given == {
        "operation": "rollback",
        "model": "flights",
        "to": f"{GROUP}/2",
        "away_from": three.config_of(3),
        "reason": "late flights are missed",
    }
    assert re.search(r"^version 1\.1\.0 serves after .*; before: version 1\.2\.0\.$", said.out, re.MULTILINE)


@pytest.mark.parametrize(("version", "to"), [("1.0.1", f"{GROUP}/1"), ("1", f"{GROUP}/1"), ("seed", "seed")])
def test_it_goes_back_to_any_version_that_has_served(three, operate, version, to):
    said = operate("rollback", version, "--json")
    assert (said.code, said.data["outcome"], said.data["served"]) == (0, "released", "1.2.0")
    assert three.inputs()[0]["to"] == to
    assert [phase["name"] for phase in said.data["phases"]] == ["Begin", "Check", "Move the traffic"]


def test_it_needs_nothing_of_the_version_it_leaves(three, operate):
    lose(three, 3)
    assert operate("rollback").code == 0


def test_a_version_whose_artefact_is_gone_is_named_with_those_that_are_left(three, operate):
    lose(three, 2)
    said = operate("rollback", "1.1.0")
    assert said.code == 1
    assert "Version 1.1.0 cannot serve again: its artefact is gone, nothing lies at s3://" in said.err
    assert "One can go back to: 1.0.1 (1), 1.0.0 (seed)." in said.err
    assert three.inputs() == []


def test_without_a_version_the_newest_one_that_can_still_serve_is_taken(three, operate):
    lose(three, 2)
    said = operate("rollback")
    assert (said.code, three.inputs()[0]["to"]) == (0, f"{GROUP}/1")
    assert "The artefact of version 1.1.0 is gone; going back to version 1.0.1 instead." in said.out


def test_when_every_artefact_is_gone_there_is_nothing_to_go_back_to(three, operate):
    for number in (0, 1, 2):
        lose(three, number)
    said = operate("rollback")
    assert said.code == 1
    assert "has nothing to go back to. Version 1.1.0 cannot serve again" in said.err
    assert three.inputs() == []


def test_an_artefact_that_may_not_be_looked_at_counts_as_there(three, operate, monkeypatch):
    def forbidden(**_arguments):
        raise refusal("403", operation="HeadObject")

    monkeypatch.setattr(three.stand.s3, "head_object", forbidden)
    assert operate("rollback").code == 0


def test_the_first_version_has_nothing_to_go_back_to(shelf, operate):
    said = operate("rollback")
    assert said.code == 1
    assert "has nothing to go back to: no other version has served" in said.err


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("live", "Version 1.2.0 of flights serves already. One can go back to: 1.1.0 (2)"),
        ("9", "has no version '9'. There is 1.4.0 (number 5, rolled back), 1.3.0"),
        ("4", "is pending and has never served; `upkeep models approve 4` releases it"),
        ("5", "is no way back: it was tried and rolled back (alarm rang)"),
    ],
)
def test_what_is_no_way_back_is_refused_with_what_is(three, operate, version, said):
    three.add(4, "1.3.0", approval="PendingManualApproval")
    three.add(5, "1.4.0", approval="Rejected", release="rolled_back", release_reason="alarm rang")
    answer = operate("rollback", version)
    assert answer.code == 1
    assert said in answer.err
    assert three.inputs() == []


def test_during_a_rollout_it_asks_for_the_stop_and_what_served_serves_on(three, operate):
    rollout = {"owner": "arn:x", "operation": "release", "package_arn": f"{GROUP}/4", "version": "1.3.0"}
    three.add(4, "1.3.0")
    three.serve(3, 2, 1, 0, to_config=three.config_of(4), **rollout)
    said = operate("rollback")
    assert said.code == 0, said.err
    given = three.inputs()[0]
    assert (given["to"], given["away_from"]) == (f"{GROUP}/3", three.config_of(4))
    assert "version 1.2.0 serves" in said.out
    assert "the rollout of 1.3.0 was stopped" in said.out
    assert "is what is being released" in operate("rollback", "4").err


def test_a_rollback_that_fails_says_why_and_what_serves(three, operate):
    three.release = lambda *_: ("FAILED", "SageMaker did not take it: no capacity")
    said = operate("rollback")
    assert said.code == 1
    assert "The rollback to version 1.1.0 failed: SageMaker did not take it: no capacity" in said.out
    assert "Now serves version 3, configuration upkeep-dev-flights-v3" in said.out


def test_a_rollback_that_ends_without_effect_is_a_failure(three, operate):
    three.release = lambda *_: ("SUCCEEDED", "")
    said = operate("rollback", "--json")
    assert (said.code, said.data["outcome"]) == (1, "failed")
    assert "the endpoint still serves another version" in said.data["reason"]


def test_time_runs_out(three, operate, monkeypatch):
    three.release = lambda *_: ("RUNNING", "")
    clock = iter(range(0, 100, 5))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    said = operate("rollback", "--timeout", "1")
    assert said.code == 1
    assert "Not done after 1 s; it was waiting for" in said.out


def test_without_waiting_it_only_begins(three, operate):
    three.release = lambda *_: ("RUNNING", "")
    assert "Go back from version 1.2.0 to version 1.1.0: begun." in operate("rollback", "--no-wait").out
    assert operate("rollback", "--no-wait", "--json").data["outcome"] == "started"


class Terminal(io.StringIO):
    """stdin of a person."""

    def isatty(self):
        return True


def asked(monkeypatch, answer):
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)


def test_a_terminal_is_asked_and_no_means_no(three, operate, monkeypatch):
    asked(monkeypatch, "n\n")
    said = operate("rollback")
    assert said.code == 1
    assert "Go back from version 1.2.0 to version 1.1.0?" in said.out
    assert three.inputs() == []


def test_with_yes_nobody_is_asked(three, operate, monkeypatch):
    asked(monkeypatch, "")
    assert operate("rollback", "--yes").code == 0


def test_two_rollbacks_have_names_of_their_own(three, operate):
    operate("rollback", "1.1.0")
    operate("rollback", "1.0.1")
    names = [one["name"] for one in three.executions]
    assert all(re.fullmatch(r"rollback-1-\d-\d-\d{8}T\d{12}", name) for name in names), names
    assert len(set(names)) == 2


def test_what_serves_may_be_unknown_and_there_is_still_a_way_back(three, operate):
    three.urls[three.config] = [("AllTraffic", "s3://elsewhere/model.tar.gz", 1.0)]
    said = operate("rollback")
    assert said.code == 0
    assert "before: a model the registry does not know" in said.out


def test_during_an_experiment_it_goes_back_to_what_the_other_is_tried_beside(three, operate):
    three.urls["both"] = [("AllTraffic", three.url(3), 0.9), ("Challenger", three.url(2), 0.1)]
    three.config = "both"
    three.stand.ledger._update("flights", "rollout", {"experiment": "x1", "config": "both"})
    said = operate("rollback")
    assert said.code == 0, said.err
    (given,) = three.inputs()
    assert (given["to"], given["away_from"]) == (f"{GROUP}/3", "both")
    assert "version 1.2.0 serves" in said.out


def test_a_version_that_served_and_was_tried_again_later_is_still_a_way_back(three, operate):
    three.versions[2]["CustomerMetadataProperties"]["release"] = "experiment"
    assert operate("rollback").code == 0
    assert three.inputs()[0]["to"] == f"{GROUP}/2"
