from dataclasses import replace

import pytest

from tests.upkeep.stand import flights
from upkeep import starting, versions
from upkeep.errors import UpkeepError


@pytest.fixture
def two(stand):
    """Two data versions, the second with one file more."""
    stand.arrive("a.csv", flights(4))
    first = stand.train(serve=True)
    stand.arrive("b.csv", flights(4, 2))
    return first, stand.train(decision="refuse")


def test_versions_are_listed_newest_first_with_their_runs(stand, two):
    known = versions.trained(stand.ledger, "flights")
    assert list(known) == [two[1].data_version, two[0].data_version]


def test_a_version_knows_its_files_decision_and_whether_it_serves(stand, two):
    found = versions.read(stand.context, stand.model, two[0].data_version, [two[0]], two[0].run_id)
    assert (found.files, found.of_document("rows"), found.decision) == (1, 4, "promote")
    assert found.served == two[0].run_id
    assert found.of_document("window", "setting") == "all"


@pytest.mark.parametrize(("name", "number"), [("latest", 1), ("latest~0", 1), ("latest~1", 0)])
def test_versions_are_counted_back_from_the_latest(stand, two, name, number):
    assert versions.find(stand.ledger, "flights", name)[0] == two[number].data_version


def test_a_version_is_found_by_how_it_begins(stand, two):
    assert versions.find(stand.ledger, "flights", two[0].data_version[:9])[0] == two[0].data_version


def test_a_version_is_found_by_its_run(stand, two):
    again = replace(two[0], run_id="ffff0000", attempt=2)
    stand.ledger.record_run(again)
    assert versions.find(stand.ledger, "flights", "ffff")[0] == two[0].data_version


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("latest~2", "there are only 2"),
        ("zzzz", "none begins with it. Allowed: latest, latest~1 and so on, next, or the beginning of"),
        ("", "none begins"),
    ],
)
def test_an_unknown_version_is_answered_with_those_there_are(stand, two, name, said):
    with pytest.raises(UpkeepError, match=said):
        versions.find(stand.ledger, "flights", name)


def test_without_any_version_it_says_how_to_make_one(stand):
    with pytest.raises(UpkeepError, match="has no data version yet"):
        versions.find(stand.ledger, "flights", "latest")


def test_a_version_whose_record_is_gone_is_shown_all_the_same(stand, two):
    found = versions.read(stand.context, stand.model, "0" * 20, [], "")
    assert (found.files, found.of_document("rows"), found.decision) == (None, None, "not trained")


def test_what_a_run_would_read_now_is_what_is_accepted(stand, two):
    assert versions.next_version(stand.context, stand.ledger, stand.spec).id == two[1].data_version
    stand.arrive("c.csv", flights(4, 3))
    assert versions.next_version(stand.context, stand.ledger, stand.spec).rows == 12


def test_a_delivery_without_its_manifest_is_not_read(stand):
    triggers = replace(stand.spec.triggers, delivery="manifest")
    stand.deploy(replace(stand.spec, triggers=triggers))
    stand.arrive("x/a.csv", flights(4))
    assert versions.next_version(stand.context, stand.ledger, stand.spec).records == ()
    stand.arrive("x/_MANIFEST.json", '{"files": [{"name": "a.csv"}]}')
    assert versions.next_version(stand.context, stand.ledger, stand.spec).rows == 4


def asked(stand, *, force=False):
    stand.wakes()
    wish = starting.ask(stand.context, stand.ledger, stand.spec, "me", force=force)
    return wish.outcome, stand.wakes()


def test_a_person_asks_for_a_run_within_the_limits(stand):
    stand.arrive("a.csv", flights(4))
    assert asked(stand) == ("asked for", [{"model": "flights", "why": "again"}])
    assert stand.ledger.plan("flights").forced is None


def test_a_forced_run_is_noted_before_the_dispatcher_is_woken(stand):
    stand.arrive("a.csv", flights(4))
    assert asked(stand, force=True) == ("asked for", [{"model": "flights", "why": "forced"}])
    assert stand.ledger.plan("flights").forced["by"] == "me"


@pytest.mark.parametrize("force", [False, True])
def test_data_the_last_model_was_trained_on_is_not_trained_on_again(stand, two, force):
    assert asked(stand, force=force) == ("unchanged", [])


def test_without_data_there_is_nothing_to_train(stand):
    assert asked(stand, force=True) == ("no data", [])


def test_a_run_that_is_going_on_is_named(stand, two):
    stand.ledger.record_run(replace(two[1], run_id="now", state="running", data_version="x"))
    stand.arrive("c.csv", flights(4, 3))
    wish = starting.ask(stand.context, stand.ledger, stand.spec, "me", force=True)
    assert (wish.outcome, wish.under_way.run_id) == ("asked for", "now")


def test_a_run_that_is_going_on_with_this_very_data_is_enough(stand, two):
    stand.arrive("c.csv", flights(4, 3))
    coming = versions.next_version(stand.context, stand.ledger, stand.spec).id
    stand.ledger.record_run(replace(two[1], run_id="now", state="running", data_version=coming))
    assert asked(stand, force=True) == ("under way", [])
