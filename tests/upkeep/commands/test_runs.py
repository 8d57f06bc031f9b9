import io
import json

from tests.upkeep.fakes import RETRAIN, FakeClient, answering
from tests.upkeep.test_runs import DECISION, described, entered, exited


def clients(executions=1):
    listed = {"executions": [{"executionArn": f"{RETRAIN}:0123", "name": described()["name"]}] * executions}
    return {
        "stepfunctions": FakeClient(
            list_executions=answering(listed),
            describe_execution=answering(described()),
            get_execution_history=answering({"events": [entered("Train", 0), exited("Train", 5)]}),
        ),
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
    said = run(["runs", "show", "0123"], **clients())
    assert said.code == 0
    assert "decision    refuse" in said.out
    assert "✔ Train" in said.out


def test_one_run_as_json_has_its_steps(run):
    found = run(["runs", "show", "0123", "--json"], **clients()).data
    assert [step["name"] for step in found["steps"]] == ["Train"]


def test_an_unknown_run_is_an_error_with_those_there_are(run):
    said = run(["runs", "show", "ffff"], **clients())
    assert (said.code, said.out) == (1, "")
    assert "Run 'ffff': no run begins with it" in said.err


def test_an_unknown_model_lists_those_deployed(run):
    said = run(["runs", "--model", "houses"], **clients())
    assert (said.code, said.err) == (1, "Error: Model 'houses' is not in this stack; deployed: flights.\n")
