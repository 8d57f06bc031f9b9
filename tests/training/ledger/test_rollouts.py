"""One execution at a time has the claim on an endpoint, and what it writes is written under the claim."""

from training.ledger.rollouts import MAX_HISTORY, RolloutRecord, Served


def _free(ledger):
    return ledger.rollout("toy")


def test_a_model_without_a_rollout_has_an_empty_record(ledger):
    assert _free(ledger) == RolloutRecord(model="toy")


def test_of_two_executions_one_gets_the_claim(ledger):
    seen = _free(ledger)
    assert ledger.claim_rollout("toy", "one", seen, phase="claimed").owner == "one"
    assert ledger.claim_rollout("toy", "two", seen, phase="claimed") is None
    assert ledger.holds_rollout("toy", "one")
    assert not ledger.holds_rollout("toy", "two")


def test_a_claim_on_what_was_seen_before_another_rollout_is_refused(ledger):
    seen = _free(ledger)
    ledger.claim_rollout("toy", "one", seen)
    ledger.update_rollout("toy", "one", owner="", config="new")
    assert ledger.claim_rollout("toy", "two", seen) is None, "it decided on an endpoint that was another one"
    assert ledger.claim_rollout("toy", "two", _free(ledger)).config == "new"


def test_the_claim_of_the_dead_is_inherited_once(ledger):
    ledger.claim_rollout("toy", "dead", _free(ledger), to_config="c")
    seen = _free(ledger)
    assert ledger.claim_rollout("toy", "heir", seen, stop="it died").to_config == "c"
    assert ledger.claim_rollout("toy", "other", seen) is None


def test_only_the_owner_writes(ledger):
    ledger.claim_rollout("toy", "one", _free(ledger))
    assert ledger.update_rollout("toy", "two", phase="updating") is None
    assert ledger.update_rollout("toy", "one", phase="updating", passed=("check",)).passed == ("check",)
    assert ledger.update_rollout("toy", "one", owner="").owner == ""
    assert ledger.update_rollout("toy", "one", phase="late") is None


def test_the_first_reason_to_stop_stays_and_nobody_stops_what_has_ended(ledger):
    ledger.claim_rollout("toy", "one", _free(ledger))
    assert ledger.stop_rollout("toy", "one", "it looks odd").stop == "it looks odd"
    assert ledger.stop_rollout("toy", "one", "me too") is None
    assert _free(ledger).stop == "it looks odd"
    ledger.update_rollout("toy", "one", owner="", stop="")
    assert ledger.stop_rollout("toy", "one", "too late") is None


def test_a_history_comes_back_as_it_was_and_is_not_kept_for_ever(ledger):
    history = tuple(
        Served(config=f"c{n}", package_arn=f"p{n}", since=n, ended=n + 0.5, sound=n > 0) for n in range(30)
    )
    ledger.claim_rollout("toy", "one", _free(ledger))
    ledger.update_rollout("toy", "one", history=history)
    assert _free(ledger).history == history[:MAX_HISTORY]


def test_a_record_survives_the_way_through_the_table(ledger):
    whole = RolloutRecord(
        model="toy", owner="one", history=(Served(config="c", why="replaced"),), passed=("check",)
    )
    assert RolloutRecord.from_item(whole.to_item()) == whole


def test_what_a_later_version_adds_is_ignored():
    item = RolloutRecord(model="toy", history=(Served(config="c"),)).to_item()
    item["mood"] = {"S": "good"}
    item["history"]["L"][0]["M"]["mood"] = {"S": "good"}
    assert RolloutRecord.from_item(item).history == (Served(config="c"),)
