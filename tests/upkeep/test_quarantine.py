import json
from dataclasses import replace

import pytest

from tests.training.lambdas import DATA
from tests.upkeep.stand import flights
from training.ledger.records import OPEN, RELEASED, RELEASING
from upkeep import quarantine
from upkeep.errors import UpkeepError
from upkeep.ledger import RELEASING_SECONDS

BAD = flights(6).replace("true", "perhaps", 3)
ME, OTHER = "me", "somebody else"


@pytest.fixture
def entry(stand):
    """A refused file: half of its rows are bad."""
    stand.arrive("bad.csv", BAD)
    (found,) = stand.ledger.quarantine_entries("flights")
    return found


def released(stand, entry, by=ME):
    return quarantine.release(stand.context, stand.ledger, entry, stand.model, stand.spec, by)


def state(stand, entry):
    return stand.ledger.quarantine_entry(entry.model, entry.id).state


def test_an_entry_is_found_by_how_its_id_begins(stand, entry):
    names = quarantine.partitions(stand.context, ["flights"])
    assert quarantine.find(stand.ledger, names, entry.id[:5]) == entry


def test_an_unknown_id_is_answered_with_those_that_wait(stand, entry):
    with pytest.raises(UpkeepError, match=rf"'ffff': no id begins with it. Waiting: {entry.id} \(bad.csv\)"):
        quarantine.find(stand.ledger, ["flights"], "ffff")


def test_an_empty_id_is_nobodys(stand, entry):
    with pytest.raises(UpkeepError, match="no id begins"):
        quarantine.find(stand.ledger, ["flights"], "")


def test_a_file_pushed_to_no_model_is_listed_too(stand):
    version = stand.put("incoming/trains/x.csv", "a\n1\n")
    stand.take_in("incoming/trains/x.csv", version)
    names = quarantine.partitions(stand.context, ["flights"])
    assert [one.name for one in quarantine.entries(stand.ledger, names)] == ["x.csv"]


def test_a_file_the_contract_still_refuses_stays_where_it_is(stand, entry):
    done = released(stand, entry)
    assert (done.done, done.key) == (False, "")
    assert "night" in done.report.reason
    assert state(stand, entry) == OPEN
    assert stand.keys("incoming/") == []


def test_a_file_the_contract_allows_now_arrives_again_with_its_bytes(stand, entry):
    stand.contract(max_bad_share=0.9)
    done = released(stand, entry)
    assert (done.done, done.key, done.entry.state) == (True, "incoming/flights/bad.csv", RELEASED)
    assert stand.body(done.key).decode() == BAD
    assert done.version_id


def test_a_released_file_is_accepted_by_the_intake(stand, entry):
    stand.contract(max_bad_share=0.9)
    done = released(stand, entry)
    stand.take_in(done.key, done.version_id)
    (content,) = stand.ledger.data("flights")
    assert (content.rows, content.dropped) == (3, 3)


def test_a_release_happens_once_only(stand, entry):
    stand.contract(max_bad_share=0.9)
    released(stand, entry)
    again = stand.ledger.quarantine_entry(entry.model, entry.id)
    with pytest.raises(UpkeepError, match=r"was released by me at .*; it can happen once only"):
        released(stand, again, OTHER)


def test_of_two_operators_who_saw_the_same_entry_one_releases_it(stand, entry):
    stand.contract(max_bad_share=0.9)
    released(stand, entry)
    with pytest.raises(UpkeepError, match="was released by me"):
        released(stand, entry, OTHER)
    assert len(stand.versions("incoming/")) == 1


def test_a_release_that_is_going_on_is_left_alone(stand, entry):
    stand.contract(max_bad_share=0.9)
    stand.ledger.begin_release(entry, OTHER)
    with pytest.raises(UpkeepError, match="is being released by somebody else since"):
        released(stand, stand.ledger.quarantine_entry(entry.model, entry.id))


def test_a_release_that_died_can_be_taken_up_again_by_one(stand, entry):
    stand.contract(max_bad_share=0.9)
    died = stand.ledger.begin_release(entry, OTHER)
    stand.clock.at += RELEASING_SECONDS + 1
    assert stand.ledger.begin_release(died, ME) is not None
    assert stand.ledger.begin_release(died, OTHER) is None


def test_a_release_that_died_after_the_copy_ends_in_one_content(stand, entry):
    stand.contract(max_bad_share=0.9)
    stand.ledger.begin_release(entry, OTHER)
    first = stand.put("incoming/flights/bad.csv", BAD)  # the copy that was made before the crash
    stand.clock.at += RELEASING_SECONDS + 1
    done = released(stand, stand.ledger.quarantine_entry(entry.model, entry.id))
    for version in (first, done.version_id):
        stand.take_in(done.key, version)
    assert len(stand.ledger.data("flights")) == 1
    assert done.entry.state == RELEASED


def test_a_file_refused_once_more_during_its_release_is_open_again(stand, entry):
    mine = stand.ledger.begin_release(entry, ME)
    stand.arrive("bad.csv", BAD)
    assert stand.ledger.end_release(mine).state == OPEN


def test_a_file_that_was_pushed_again_mended_the_same_way_cannot_be_released_twice(stand, entry):
    stand.contract(max_bad_share=0.9)
    stand.arrive("bad.csv", BAD)
    with pytest.raises(UpkeepError, match="was accepted since, with the same bytes"):
        released(stand, stand.ledger.quarantine_entry(entry.model, entry.id))


def test_a_file_that_has_expired_cannot_be_released_and_says_so(stand, entry):
    stand.s3.delete_object(Bucket=DATA, Key=entry.key)
    with pytest.raises(UpkeepError, match=r"is gone \(they expire.*Push bad.csv again"):
        released(stand, entry)
    assert state(stand, entry) == OPEN


def test_discarding_deletes_file_and_reason_and_keeps_the_entry(stand, entry):
    ended = quarantine.discard(stand.context, stand.ledger, entry, ME)
    assert (ended.state, ended.by) == ("discarded", ME)
    assert stand.keys("quarantine/") == []
    assert stand.ledger.quarantine_entry(entry.model, entry.id).reason


def test_discarding_again_deletes_what_a_crash_has_left(stand, entry):
    ended = quarantine.discard(stand.context, stand.ledger, entry, ME)
    stand.put(entry.key, "left behind")
    quarantine.discard(stand.context, stand.ledger, ended, ME)
    assert stand.keys("quarantine/") == []


def test_a_file_on_its_way_cannot_be_discarded(stand, entry):
    stand.ledger.begin_release(entry, OTHER)
    with pytest.raises(UpkeepError, match="is being released"):
        quarantine.discard(stand.context, stand.ledger, entry, ME)
    assert len(stand.keys("quarantine/")) == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (OPEN, "quarantine release"),
        (RELEASING, "takes it up"),
        (RELEASED, "runs show incoming/flights/bad.csv"),
        ("accepted", "the same bytes were accepted"),
        ("discarded", "push the file again"),
    ],
)
def test_every_state_says_what_to_do(entry, given, said):
    assert said in quarantine.advice(replace(entry, state=given)).lower()


def test_the_difference_of_columns_comes_from_the_reason_file(stand):
    stand.arrive("renamed.csv", flights(4).replace("carrier", "airline"))
    (entry,) = stand.ledger.quarantine_entries("flights")
    assert quarantine.diff_of(stand.context, entry)["missing"] == ["carrier"]


def test_a_missing_reason_file_is_no_difference(stand, entry):
    stand.s3.delete_object(Bucket=DATA, Key=entry.key + quarantine.REASON_SUFFIX)
    assert quarantine.diff_of(stand.context, entry) == {}


def test_the_reason_file_is_beside_the_file(stand, entry):
    assert json.loads(stand.body(entry.key + quarantine.REASON_SUFFIX))["id"] == entry.id
