import io
import json

from tests.upkeep.fakes import RETRAIN, FakeClient, answering
from tests.upkeep.stand import flights
from tests.upkeep.test_runs import DECISION, described, entered, exited
from upkeep import follow
from upkeep.follow import Progress, Result

LEDGER = {"ledger_table": "ledger"}


def clients(executions=1):
    listed = {"executions": [{"executionArn": f"{RETRAIN}:0123", "name": described()["name"]}] * executions}
    return {
        "stepfunctions": FakeClient(
            list_executions=answering(listed),
            describe_execution=answering(described()),
            get_execution_history=answering({"events": [entered("Train", 0), exited("Train", 5)]}),
        ),
        "dynamodb": FakeClient(query=answering({"Items": []})),
        "s3": FakeClient(get_object=lambda **_a: {"Body": io.BytesIO(json.dumps(DECISION).encode())}),
    }


def test_runs_show_champion_challenger_decision_and_reason(run):
    said = run(["runs"], **clients())
    assert said.code == 0
    header, line = said.out.splitlines()
    assert header.split()[:4] == ["RUN", "MODEL", "STARTED", "TRIGGER"]
    assert "26,483      0.6500    0.6600  refuse        9.0  worse" in line


def test_list_is_the_same(run):
    assert run(["runs", "list"], **clients()).out == run(["runs"], **clients()).out


def test_no_runs_yet_says_how_to_start_one(run):
    assert "`upkeep push FILE` starts one" in run(["runs"], **clients(executions=0)).out


def test_json_is_a_list_of_runs(run):
    (found,) = run(["runs", "--json"], **clients()).data
    assert (found["status"], found["decision"]["decision"], found["seconds"]) == ("SUCCEEDED", "refuse", 9.0)


def test_one_run_is_shown_with_its_states(run):
    said = run(["runs", "show", "0123"], LEDGER, **clients())
    assert said.code == 0
    assert "decision    refuse" in said.out
    assert "✔ Train" in said.out


def test_one_run_as_json_has_its_steps(run):
    found = run(["runs", "show", "0123", "--json"], LEDGER, **clients()).data
    assert [step["name"] for step in found["steps"]] == ["Train"]


def test_what_only_the_ledger_knows_of_a_run_is_shown_too(operate, stand):
    stand.arrive("a.csv", flights(4))
    record = stand.train()
    said = operate("runs", "show", record.run_id[:8])
    assert said.code == 0
    assert f"data        {record.data_version}" in said.out
    assert "window      all: 2013-01-01T00:00:00+00:00 to 2013-01-01T03:00:00+00:00" in said.out
    assert "cost        0.0020 USD" in said.out


def test_a_run_step_functions_has_forgotten_is_shown_from_the_ledger(operate, stand):
    stand.arrive("a.csv", flights(4))
    record = stand.train()
    stand.account.executions.clear()
    found = operate("runs", "show", record.run_id[:8], "--json").data
    assert (found["status"], found["decision"]["decision"], found["usd"]) == ("SUCCEEDED", "promote", 0.002)
    assert found["window"]["setting"] == "all"


def test_what_became_of_a_file_is_shown_for_each_version(operate, stand):
    stand.arrive("a.csv", flights(4))
    stand.train()
    stand.arrive("a.csv", "a;b\n1;2\n")
    said = operate("runs", "show", "a.csv")
    assert said.code == 0
    assert said.out.count("state") >= 2
    assert "accepted" in said.out
    assert "See `upkeep quarantine show " in said.out
    first, second = operate("runs", "show", "incoming/flights/a.csv", "--json").data["versions"]
    assert (first["state"], first["runs"][0]["serves"], second["state"]) == ("accepted", True, "quarantined")


def test_an_accepted_file_no_run_has_read_says_so(operate, stand):
    stand.arrive("a.csv", flights(4))
    assert "No run was trained on it yet" in operate("runs", "show", "a.csv").out


def test_an_unknown_file_is_an_error_that_says_where_was_looked(operate):
    said = operate("runs", "show", "never.csv")
    assert (said.code, said.out) == (1, "")
    assert "never.csv: the ledger does not know it" in said.err


def test_a_person_starts_a_run(operate, stand):
    stand.arrive("a.csv", flights(4))
    said = operate("runs", "start")
    assert said.code == 0
    assert "Asked for a run of flights on data version" in said.out
    assert "(4 rows in 1 files)" in said.out


def test_a_hold_is_shown_to_who_asks_for_a_run(operate, stand):
    stand.arrive("a.csv", flights(4))
    stand.ledger.take_lease("flights", "me", 60)
    stand.ledger.hold("flights", "me", "max_per_day", "24 runs", stand.clock.at + 3600)
    assert "held by max_per_day until" in operate("runs", "start").out
    forced = operate("runs", "start", "--force", "--json").data
    assert (forced["outcome"], forced["forced"], forced["held"]) == ("asked for", True, None)


def test_data_that_was_trained_on_is_not_trained_on_again(operate, stand):
    stand.arrive("a.csv", flights(4))
    run = stand.train()
    said = operate("runs", "start", "--force")
    assert said.code == 0
    assert f"was trained on by run {run.run_id[:8]}" in said.out


def test_a_run_that_is_under_way_on_the_newest_data_is_followed(operate, stand, monkeypatch):
    stand.arrive("a.csv", flights(4))
    run = stand.train(state="running")
    assert f"Run {run.run_id[:8]} on data version" in operate("runs", "start").out
    seen = []

    def follow_now(source, uploads, **_how):
        seen.append(source.run_with([], new_only=True).id)
        return Result(outcome="released", reason="r", progress=Progress(uploads=()))

    monkeypatch.setattr(follow, "follow", follow_now)
    assert operate("runs", "start", "--wait").code == 0
    assert seen == [run.run_id]


def test_without_data_there_is_nothing_to_start(operate):
    assert "has no data besides its seed" in operate("runs", "start").out


def test_a_started_run_can_be_followed(operate, stand, monkeypatch):
    stand.arrive("a.csv", flights(4))

    def follow_now(source, uploads, **_how):
        return Result(outcome="refused", reason="worse", progress=Progress(uploads=tuple(uploads)))

    monkeypatch.setattr(follow, "follow", follow_now)
    assert operate("runs", "start", "--wait").code == 3


def test_an_unknown_run_is_an_error_with_those_there_are(run):
    said = run(["runs", "show", "ffff"], LEDGER, **clients())
    assert (said.code, said.out) == (1, "")
    assert "Run 'ffff': no run begins with it" in said.err


def test_an_unknown_model_lists_those_deployed(run):
    said = run(["runs", "--model", "houses"], **clients())
    assert (said.code, said.err) == (1, "Error: Model 'houses' is not in this stack; deployed: flights.\n")
