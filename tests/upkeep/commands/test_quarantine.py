import pytest

from tests.upkeep.stand import flights
from upkeep import follow
from upkeep.follow import Progress, Result

BAD = flights(6).replace("true", "perhaps", 3)


@pytest.fixture
def entry(stand):
    stand.arrive("bad.csv", BAD)
    (found,) = stand.ledger.quarantine_entries("flights")
    return found


def test_refused_files_are_listed_with_id_and_reason(operate, entry):
    said = operate("quarantine", "list")
    assert said.code == 0
    header, line = said.out.splitlines()
    assert header.split()[:3] == ["ID", "MODEL", "FILE"]
    assert line.split()[:3] == [entry.id, "flights", "bad.csv"]
    assert "night" in line


def test_nothing_refused_says_so(operate):
    assert operate("quarantine", "list").out == "Nothing waits in quarantine; --all shows what did.\n"


def test_ended_entries_are_listed_when_asked_for(operate, entry):
    operate("quarantine", "discard", entry.id, "--yes")
    assert entry.id not in operate("quarantine", "list").out
    assert "discarded" in operate("quarantine", "list", "--all").out


def test_the_list_is_data_too(operate, entry):
    (found,) = operate("quarantine", "list", "--json").data
    assert (found["id"], found["state"], found["at"][:4]) == (entry.id, "open", "2023")


def test_one_entry_shows_why_which_rows_and_what_to_do(operate, entry):
    said = operate("quarantine", "show", entry.id[:6])
    assert said.code == 0
    for words in (
        "bad.csv",
        "COLUMN",
        "perhaps",
        "Bad rows",
        "contract",
        "quarantine release",
    ):
        assert words in said.out


def test_changed_columns_are_shown_as_a_difference(operate, stand):
    stand.arrive("renamed.csv", flights(4).replace("carrier", "airline"))
    (found,) = stand.ledger.quarantine_entries("flights")
    said = operate("quarantine", "show", found.id)
    assert "Columns that differ from the contract" in said.out
    assert "carrier" in said.out
    assert operate("quarantine", "show", found.id, "--json").data["diff"]["missing"] == ["carrier"]


def test_an_unknown_id_is_an_error_with_those_that_wait(operate, entry):
    said = operate("quarantine", "show", "ffff")
    assert (said.code, said.out) == (1, "")
    assert f"no id begins with it. Waiting: {entry.id} (bad.csv)" in said.err


def test_a_release_the_check_still_refuses_is_4_and_changes_nothing(operate, stand, entry):
    said = operate("quarantine", "release", entry.id)
    assert said.code == 4
    assert "Still refused by contract" in said.out
    assert "Nothing was changed" in said.out
    assert operate("quarantine", "release", entry.id, "--json").data["exit_code"] == 4
    assert stand.ledger.quarantine_entry("flights", entry.id).state == "open"


def test_a_release_says_where_the_file_arrives_again(operate, stand, entry):
    stand.contract(max_bad_share=0.9)
    said = operate("quarantine", "release", entry.id)
    assert said.code == 0
    assert "3 good rows, 3 bad rows left out" in said.out
    assert stand.keys("incoming/") == ["incoming/flights/bad.csv"]
    again = operate("quarantine", "release", entry.id)
    assert again.code == 1
    assert "it can happen once only" in again.err


def test_a_release_can_be_followed_like_a_push(operate, stand, entry, monkeypatch):
    stand.contract(max_bad_share=0.9)
    seen = []

    def follow_now(source, uploads, **_how):
        seen.extend(uploads)
        return Result(outcome="held", reason="r", progress=Progress(uploads=tuple(uploads)))

    monkeypatch.setattr(follow, "follow", follow_now)
    said = operate("quarantine", "release", entry.id, "--wait", "--json")
    assert (said.code, said.data["outcome"]) == (6, "held")
    assert (seen[0].key, bool(seen[0].version_id)) == ("incoming/flights/bad.csv", True)


def test_a_file_pushed_to_no_model_is_released_to_one_that_is_named(operate, stand):
    stand.take_in("incoming/trains/x.csv", stand.put("incoming/trains/x.csv", flights(4)))
    (entry,) = stand.ledger.quarantine_entries("no-model")
    said = operate("quarantine", "release", entry.id)
    assert said.code == 1
    assert "was pushed for no model. Give it to one with --model: flights" in said.err
    assert operate("quarantine", "release", entry.id, "--model", "flights").code == 0
    assert stand.keys("incoming/") == ["incoming/flights/x.csv"]


def test_a_models_own_file_is_not_given_to_another(operate, entry):
    said = operate("quarantine", "release", entry.id, "--model", "trains")
    assert said.code == 1
    assert "leave out --model trains" in said.err


def test_discarding_asks_first_and_cannot_ask_a_script(operate, stand, entry):
    said = operate("quarantine", "discard", entry.id)
    assert said.code == 1
    assert "--yes says that you agree" in said.err
    assert len(stand.keys("quarantine/")) == 2


def test_discarding_deletes_the_file_and_keeps_the_entry(operate, stand, entry):
    said = operate("quarantine", "discard", entry.id, "--yes", "--json")
    assert (said.code, said.data["state"]) == (0, "discarded")
    assert stand.keys("quarantine/") == []
