from tests.upkeep.stand import flights

KEY = "incoming/flights/a.csv"


def test_no_dead_letters_is_good_news(operate):
    assert operate("replay").out == "No dead letters.\n"


def test_each_letter_is_shown_and_sent_back(operate, stand):
    stand.dead("intake", stand.event(KEY, stand.put(KEY, flights(4))))
    said = operate("replay")
    assert said.code == 0
    assert "1 sent back." in said.out
    assert f"`upkeep runs show {KEY}`" in said.out
    assert operate("replay").out == "No dead letters.\n"


def test_looking_first_changes_nothing(operate, stand):
    stand.dead("intake", stand.event(KEY))
    said = operate("replay", "--dry-run", "--json").data
    assert (said["dry_run"], said["messages"][0]["action"]) == (True, "would send back")
    assert "`upkeep replay` does it." in operate("replay", "--dry-run").out
    assert len(stand.messages("intake-dead")) == 1


def test_forged_letters_are_left_and_it_says_how_to_delete_them(operate, stand):
    stand.dead("dispatch", "{}")
    assert "`upkeep replay --drop` deletes them" in operate("replay").out
    assert "1 dropped." in operate("replay", "--drop").out


def test_a_stack_without_a_ledger_says_how_to_get_one(operate, stand, monkeypatch):
    outputs = {**stand.outputs, "ledger_table": ""}
    monkeypatch.setattr(stand, "context", type(stand.context)({}, **outputs))
    said = operate("replay")
    assert said.code == 1
    assert "`upkeep up` brings it up to date" in said.err
