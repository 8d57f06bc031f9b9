from dataclasses import replace

import pytest

from tests.training.lambdas import ARTIFACTS
from tests.upkeep.fakes import START
from tests.upkeep.stand import flights
from upkeep import health


def model(stand):
    return health.read(stand.context).models[0]


def test_refused_files_are_counted_in_the_ledger(stand):
    stand.arrive("a.csv", "a;b\n1;2\n")
    version = stand.put("incoming/trains/x.csv", "a\n1\n")
    stand.take_in("incoming/trains/x.csv", version)
    found = health.read(stand.context)
    assert (found.models[0].quarantined, found.unassigned) == (1, 1)


def test_dead_letters_of_both_queues_are_counted(stand):
    stand.dead("intake", "a")
    stand.dead("dispatch", "b")
    assert health.read(stand.context).dead_letters == {"intake": 1, "dispatch": 1}


def test_a_hold_and_a_wish_are_shown(stand):
    stand.ledger.take_lease("flights", "me", 60)
    stand.ledger.hold("flights", "me", "max_per_day", "24 runs", START.timestamp())
    stand.ledger.force("flights", "Anna")
    found = model(stand)
    assert (found.hold.rule, found.hold.until, found.forced) == ("max_per_day", START, "Anna")


def test_what_the_month_has_cost_is_beside_its_ceiling(stand):
    stand.arrive("a.csv", flights(4))
    stand.train(usd=0.25)
    assert (model(stand).spent_usd, model(stand).ceiling_usd) == (0.25, 100.0)


@pytest.fixture
def by_manifest(stand):
    stand.deploy(replace(stand.spec, triggers=replace(stand.spec.triggers, delivery="manifest")))
    return stand


def test_a_delivery_without_its_manifest_is_open_and_overdue_after_its_deadline(by_manifest):
    by_manifest.arrive("x/a.csv", flights(4))
    (found,) = model(by_manifest).deliveries
    assert (found.folder, found.overdue, found.words()) == ("x", False, "no _MANIFEST.json")
    by_manifest.clock.at += 3601
    assert model(by_manifest).deliveries[0].overdue


def test_a_delivery_names_the_files_it_waits_for(by_manifest):
    by_manifest.arrive("x/_MANIFEST.json", '["a.csv", "b.csv"]')
    by_manifest.arrive("x/a.csv", flights(4))
    (found,) = model(by_manifest).deliveries
    assert found.words() == "1 of 2 files missing: b.csv"


def test_a_complete_delivery_waits_for_nothing(by_manifest):
    by_manifest.arrive("x/a.csv", flights(4))
    by_manifest.arrive("x/_MANIFEST.json", '["a.csv"]')
    assert model(by_manifest).deliveries == ()


def test_models_without_manifests_have_no_open_deliveries(stand):
    stand.arrive("x/a.csv", flights(4))
    assert model(stand).deliveries == ()


def test_a_stack_that_lost_a_spec_can_still_say_how_it_is(stand):
    stand.s3.delete_object(Bucket=ARTIFACTS, Key="specs/flights.json")
    assert (model(stand).ceiling_usd, model(stand).deliveries) == (None, ())
