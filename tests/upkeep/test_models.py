import json
from dataclasses import replace

import pytest

from tests.upkeep.shelf import GROUP, SEED_CONFIG
from upkeep import models
from upkeep.errors import UpkeepError


@pytest.fixture
def registry(shelf):
    """Reads the registry as it is when it is asked."""

    def read(limit=50):
        there = shelf.stand.context
        return models.read(there, there.model("flights"), shelf.stand.ledger.rollout("flights"), limit)

    return read


def states(found):
    return {one.number: one.state for one in found.versions}


def test_the_newest_version_is_first_and_the_seed_is_last(shelf, registry):
    shelf.add(1, "1.0.1")
    shelf.add(2, "1.0.2")
    assert [(one.label, one.number) for one in registry().versions] == [
        ("1.0.2", 2), ("1.0.1", 1), ("1.0.0", 0),
    ]  # fmt: skip


def test_an_old_package_without_a_version_shows_its_number(shelf, registry):
    shelf.add(3)
    assert (registry().versions[0].label, registry().versions[0].words) == ("v3", "version 3")


def test_states_come_from_what_serves_first_and_then_from_what_was_noted(shelf, registry):
    shelf.add(1, "1.0.1")
    shelf.add(2, "1.0.2")
    shelf.serve(2, 1, 0)
    shelf.add(3, "1.0.3", approval="PendingManualApproval")
    shelf.add(4, "1.0.4", approval="Rejected", decision="refuse")
    shelf.add(5, "1.0.5", approval="Rejected", release="rolled_back")
    shelf.add(6, "1.0.6", approval="Rejected", release="failed")
    shelf.add(7, "1.0.7", approval="Rejected", release="refused")
    shelf.add(8, "1.0.8", approval="Rejected", approver="Anna")
    shelf.add(9, "1.0.9", approval="Rejected")
    shelf.add(10, "1.0.10")
    shelf.add(11, "1.0.11", release="experiment", release_reason="tried beside version 1.0.2 in x1")
    assert registry().find("11").reason == "tried beside version 1.0.2 in x1"
    assert states(registry()) == {
        0: "superseded", 1: "superseded", 2: "live", 3: "pending", 4: "refused", 5: "rolled back",
        6: "failed", 7: "refused", 8: "rejected", 9: "failed", 10: "approved", 11: "tried",
    }  # fmt: skip


def test_a_version_whose_rollout_is_under_way_is_releasing(shelf, registry):
    shelf.add(1, "1.0.1")
    shelf.serve(0, owner="arn:execution", operation="release", package_arn=f"{GROUP}/1")
    assert states(registry()) == {1: "releasing", 0: "live"}


def test_both_versions_of_an_experiment_have_their_share(shelf, registry):
    shelf.add(1, "1.0.1")
    shelf.add(2, "1.1.0")
    shelf.serve(1, 0, experiment="x1")
    shelf.urls[shelf.config] = [("AllTraffic", shelf.url(1), 0.9), ("Challenger", shelf.url(2), 0.1)]
    found = {one.number: (one.state, one.share) for one in registry().versions}
    assert found[2] == ("experiment", pytest.approx(0.1))
    assert found[1] == ("live", pytest.approx(0.9))


def test_of_two_packages_with_one_artefact_only_one_is_live(shelf, registry):
    shelf.add(1, "1.0.1", run_id="same")
    shelf.add(2, "1.0.2", run_id="same")
    shelf.serve(2)
    assert states(registry()) == {2: "live", 1: "superseded", 0: "superseded"}


def test_the_gain_is_what_was_recorded_or_else_the_difference(shelf, registry):
    shelf.add(1, "1.0.1", gain="0.02")
    shelf.add(2, "1.0.2", score=0.7)
    shelf.add(3, "1.0.3", metric="log_loss", challenger="0.4", champion="0.5")
    shelf.add(4, "1.0.4", challenger="none")
    gains = {one.number: one.gain for one in registry().versions}
    assert gains[1] == 0.02
    assert gains[2] == pytest.approx(0.01)
    assert gains[3] == pytest.approx(0.1)
    assert (gains[4], gains[0]) == (None, None)


def test_a_version_is_found_by_every_name_it_has(shelf, registry):
    shelf.add(1, "1.0.1", run_id="1f00")
    shelf.add(2, "1.1.0", run_id="abcd")
    shelf.add(3, run_id="abff")
    shelf.serve(2, 1, 0)
    found = registry()
    names = {"1.1.0": 2, "v1.1.0": 2, "2": 2, "v2": 2, "live": 2, "abc": 2, "previous": 1, "1.0.1": 1}
    names |= {"seed": 0, "0": 0, "1.0.0": 0, "3": 3, "v3": 3, "1f": 1, "1": 1}
    assert {name: found.find(name).number for name in names} == names


def test_a_name_that_is_nothing_lists_what_there_is(shelf, registry):
    shelf.add(1, "1.0.1")
    for wanted in ("2.0.0", "9", "v9", "zzz", ""):
        with pytest.raises(UpkeepError, match=r"1\.0\.1 \(number 1, approved\), 1\.0\.0 \(number 0, live\)"):
            registry().find(wanted)


def test_a_name_of_several_versions_says_which(shelf, registry):
    shelf.add(1, "1.1.0", run_id="aaaa1", approval="Rejected", decision="refuse")
    shelf.add(2, "1.1.0", run_id="aaaa2")
    with pytest.raises(UpkeepError, match=r"ambiguous: 2 \(aaaa2, approved\), 1 \(aaaa1, refused\)"):
        registry().find("1.1.0")
    with pytest.raises(UpkeepError, match="ambiguous"):
        registry().find("aaaa")


def test_without_a_previous_version_there_is_none(registry):
    with pytest.raises(UpkeepError, match="has no previous version"):
        registry().find("previous")


def test_what_serves_may_be_nothing_the_registry_knows(shelf, registry):
    shelf.urls[SEED_CONFIG] = [("AllTraffic", "s3://elsewhere/model.tar.gz", 1.0)]
    assert registry().live is None
    with pytest.raises(UpkeepError, match="has no live version"):
        registry().find("live")


def test_without_a_record_the_way_back_is_what_was_replaced_last(shelf, registry):
    for number in (1, 2, 3):
        shelf.add(number, f"1.0.{number}")
    shelf.serve(3, 2, 1)
    shelf.note()
    assert [one.number for one in registry().targets] == [2, 1, 0]
    assert registry().previous.number == 2


def test_the_way_back_is_what_the_ledger_notes(shelf, registry):
    for number in (1, 2, 3):
        shelf.add(number, f"1.0.{number}")
    shelf.serve(3, 1, 2, 0)
    assert [one.number for one in registry().targets] == [1, 2, 0]


def test_what_was_taken_back_is_no_way_back(shelf, registry):
    shelf.add(1, "1.0.1", release="rolled_back", approval="Rejected")
    shelf.add(2, "1.0.2")
    shelf.serve(2, 0)
    record = shelf.stand.ledger.rollout("flights")
    tried = replace(record.history[0], config="v1", package_arn=f"{GROUP}/1", sound=False)
    shelf.serve(2, 0, history=(tried, *record.history))
    assert [one.number for one in registry().targets] == [0]


def test_during_a_rollout_the_way_back_is_what_serves(shelf, registry):
    shelf.add(1, "1.0.1")
    shelf.add(2, "1.0.2")
    shelf.serve(1, 0, owner="arn:x", operation="release", package_arn=f"{GROUP}/2")
    assert registry().previous.number == 1


def test_a_version_as_json_says_what_the_table_shows(shelf, registry):
    shelf.add(1, "1.0.1", gain="0.02", approver="Anna")
    shelf.serve(1, 0)
    data = json.loads(json.dumps(registry().versions[0].to_json()))
    assert (data["version"], data["state"], data["live"], data["traffic"]) == ("1.0.1", "live", True, 1.0)
    assert (data["gain"], data["approver"], data["at"]) == (0.02, "Anna", "2026-11-22T10:00:00.000Z")
