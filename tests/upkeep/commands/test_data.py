import pytest

from tests.upkeep.stand import flights

ANNA, BERT = flights(6, 1, "UA", "anna"), flights(4, 2, "AA", "bert")
BOTH = ANNA + BERT.partition("\n")[2]


@pytest.fixture
def two(stand):
    stand.arrive("a.csv", flights(4))
    first = stand.train()
    stand.arrive("b.csv", flights(4, 2))
    return first, stand.train(decision="refuse")


def test_no_version_yet_says_how_to_make_one(operate):
    assert "`upkeep push FILE` makes the first" in operate("data", "list").out


def test_versions_are_listed_with_decision_and_what_serves(operate, two):
    said = operate("data", "list")
    assert said.code == 0
    _, second, first = said.out.splitlines()
    assert first.split() == [
        *(two[0].data_version[:8], two[0].run_id[:8], "1", "4", "all"),
        *(first.split()[5], "promote", "yes"),
    ]
    assert second.split()[2:5] == ["2", "8", "all"]
    assert "refuse" in second


def test_the_list_is_data_too(operate, two):
    second, first = operate("data", "list", "--json").data
    assert (first["served_by_run"], second["served_by_run"]) == (two[0].run_id, None)
    assert (second["rows"], second["files"], second["window"]["setting"]) == (8, 2, "all")


def test_one_version_shows_its_files_and_runs(operate, two):
    said = operate("data", "show", "latest")
    assert said.code == 0
    assert said.out.count("accepted/flights/") == 2
    assert "incoming/flights/b.csv" in said.out
    assert two[1].run_id in said.out
    assert len(operate("data", "show", "latest", "--json").data["objects"]) == 2


def test_what_a_run_would_read_now_can_be_looked_at(operate, stand, two):
    stand.arrive("c.csv", flights(4, 3))
    found = operate("data", "show", "next", "--json").data
    assert (found["rows"], found["decision"], found["runs"]) == (12, "not trained", [])


def test_two_versions_are_compared(operate, stand, two):
    said = operate("data", "diff", "latest~1", "latest")
    assert said.code == 0
    assert "+ accepted/flights/" in said.out
    assert "rows      4 → 8 (+4)" in said.out
    found = operate("data", "diff", "latest~1", "latest", "--json").data
    assert (len(found["added"]), found["removed"], found["rows"]) == (1, [], 4)


def test_a_version_is_no_different_from_itself(operate, two):
    assert "The same files, window and contract." in operate("data", "diff", "latest", "latest").out


def test_an_unknown_version_is_an_error(operate, two):
    said = operate("data", "diff", "latest", "zzzz")
    assert (said.code, said.out) == (1, "")
    assert "Data version 'zzzz': none begins with it" in said.err


def test_looking_what_there_is_to_forget_changes_nothing(operate, stand):
    stand.arrive("both.csv", BOTH)
    said = operate("data", "forget", "--where", "customer=anna", "--dry-run")
    assert said.code == 0
    assert "6 of 10 accepted rows match, in 1 accepted object." in said.out
    assert "No run was trained on these rows." in said.out
    assert stand.ledger.forgets("flights") == []
    found = operate("data", "forget", "--where", "customer=anna", "--dry-run", "--json").data
    assert (found["matching_rows"], found["rows"], found["dry_run"]) == (6, 10, True)


def test_forgetting_asks_first_and_cannot_ask_a_script(operate, stand):
    stand.arrive("both.csv", BOTH)
    said = operate("data", "forget", "--where", "customer=anna")
    assert said.code == 1
    assert "--yes says that you agree" in said.err
    assert stand.ledger.forgets("flights") == []


def test_forgetting_says_what_is_gone_who_was_trained_on_it_and_what_comes_next(operate, stand):
    stand.arrive("both.csv", BOTH)
    run = stand.train()
    said = operate("data", "forget", "--where", "customer=anna", "--yes")
    assert said.code == 0
    assert "Forgotten: 6 rows of 1 object" in said.out
    assert run.run_id in said.out
    assert "Version 1 serves and was trained on these rows, until another is released." in said.out
    assert "a run is due" in said.out


def test_the_result_is_one_json_document(operate, stand):
    stand.arrive("both.csv", BOTH)
    stand.train()
    stand.arrive("bad.csv", ANNA.replace("true", "perhaps"))
    found = operate("data", "forget", "-w", "customer=anna", "--yes", "--json", "--discard-quarantined").data
    assert (found["forgotten_rows"], found["served_models"], found["exit_code"]) == (6, [1], 0)
    assert [one["action"] for one in found["elsewhere"]] == ["discarded"]


def test_a_file_that_may_hold_such_rows_is_1_and_named(operate, stand):
    stand.arrive("bad.csv", "customer;age\nanna;7\n")
    stand.arrive("both.csv", BOTH)
    said = operate("data", "forget", "--where", "customer=anna", "--yes")
    assert said.code == 1
    assert "cannot be read as rows, and may hold such ones" in said.out


def test_a_condition_without_a_value_is_an_error(operate):
    said = operate("data", "forget", "--where", "customer", "--yes")
    assert said.code == 1
    assert "expected COLUMN=VALUE" in said.err
