"""`upkeep up`, `preview`, `down`, `refresh`, `outputs` on a cloud in memory, and handed over to `pulumi`."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pulumi
import pytest

from tests.sandbox.deployer.cloud import Cloud, Thing, stack
from tests.upkeep.fakes import raising
from upkeep import cli, context, deployment, pulumi_cli, teardown
from upkeep.errors import UpkeepError


class Desk:
    """A command line over one stack whose program is `body`."""

    def __init__(self, monkeypatch, capsys, path: Path) -> None:
        self.cloud = Cloud()
        self.path = path
        self.note = "one"
        self._capsys = capsys
        monkeypatch.delenv("UPKEEP_STACK", raising=False)
        monkeypatch.setattr(deployment, "open_target", self._open)

    def body(self) -> None:
        thing = Thing("a", note=self.note)
        Thing("b", link=thing.id)
        pulumi.export("arn", thing.arn)
        pulumi.export("key", pulumi.Output.secret("hush"))

    def _open(self, name, port):
        return deployment.Target(name, None, stack(self.path, self.cloud, self.body))

    def run(self, *argv):
        code = cli.run(list(argv))
        return code, *self._capsys.readouterr()


class Endpoints(Desk):
    """A stack whose program exports a model that really serves something."""

    def __init__(self, monkeypatch, capsys, path: Path, shelf) -> None:
        super().__init__(monkeypatch, capsys, path)
        self.shelf = shelf
        self.session = SimpleNamespace(client=lambda name, **_: shelf.stand.context.client(name))
        monkeypatch.setattr(teardown, "sweep", lambda *_: None)
        monkeypatch.setattr(teardown, "sweep_after", lambda *_: None)
        monkeypatch.setattr(teardown, "declared_models", lambda *_: {"flights"})

    def body(self) -> None:
        super().body()
        pulumi.export("region", "us-east-1")
        for name, value in self.shelf.stand.outputs.items():
            pulumi.export(name, value)

    def _open(self, name, port):
        return deployment.Target(name, self.session, stack(self.path, self.cloud, self.body))


@pytest.fixture
def endpoints(monkeypatch, capsys, tmp_path, shelf) -> Endpoints:
    shelf.add(1, "1.1.0")
    shelf.serve(1, 0)
    return Endpoints(monkeypatch, capsys, tmp_path / "dev.json", shelf)


@pytest.fixture
def desk(monkeypatch, capsys, tmp_path) -> Desk:
    return Desk(monkeypatch, capsys, tmp_path / "dev.json")


def test_a_preview_shows_the_tree_and_the_counts_and_changes_nothing(desk) -> None:
    code, out, _ = desk.run("preview")
    assert code == 0
    assert "+  fake:index:Thing a  create" in out
    assert "+ 3 to create" in out
    assert desk.cloud.things == {}


def test_up_reports_each_step_then_the_outputs_and_a_second_up_says_no_changes(desk) -> None:
    code, out, _ = desk.run("up", "--yes")
    assert code == 0
    assert "+  fake:index:Thing a created" in out
    assert "arn: arn:thing-0" in out
    assert "hush" not in out
    assert "+ 3 created" in out
    code, out, _ = desk.run("up", "--yes")
    assert (code, "No changes; 3 resources are as the program says." in out) == (0, True)


def test_a_change_is_shown_with_its_old_and_new_value(desk) -> None:
    desk.run("up", "--yes")
    desk.note = "two"
    _, out, _ = desk.run("preview")
    assert '~ note: "one" → "two"' in out
    assert "~ 1 to update, 2 unchanged" in out


def test_inside_a_json_document_only_what_differs_is_shown(desk) -> None:
    desk.note = json.dumps({"same": "x" * 200, "n": 1})
    desk.run("up", "--yes")
    desk.note = json.dumps({"same": "x" * 200, "n": 2})
    _, out, _ = desk.run("preview")
    assert "~ note n: 1 → 2" in out


def test_without_a_terminal_nothing_happens_unless_yes_is_given(desk) -> None:
    code, _, err = desk.run("up")
    assert code == 1
    assert "Add --yes: `upkeep up --yes`" in err
    assert desk.cloud.things == {}


def test_json_is_all_that_is_on_stdout(desk) -> None:
    _, out, _ = desk.run("preview", "--json")
    assert [step["op"] for step in json.loads(out)["steps"]] == ["create", "create", "create"]
    code, out, _ = desk.run("up", "--yes", "--json")
    data = json.loads(out)
    assert (code, data["ok"], data["changeSummary"]) == (0, True, {"create": 3})
    assert data["outputs"] == {"arn": "arn:thing-0", "key": "[secret]"}
    _, out, _ = desk.run("outputs", "--json")
    assert json.loads(out) == {"arn": "arn:thing-0", "key": "[secret]"}
    _, out, _ = desk.run("outputs", "--json", "--show-secrets")
    assert json.loads(out)["key"] == "hush"


def test_a_failure_names_the_resource_and_what_aws_said_and_exits_with_one(desk) -> None:
    desk.cloud.faults["create b"] = "clean"
    code, out, _ = desk.run("up", "--yes")
    assert code == 1
    assert "fake:index:Thing b failed" in out
    assert "error: fake:index:Thing b: AccessDenied: b" in out
    desk.cloud.faults.clear()
    assert desk.run("up", "--yes")[0] == 0


def test_errors_of_the_program_stop_before_anything_is_changed(desk) -> None:
    class SettingsError(ValueError):
        pass

    def broken() -> None:
        raise SettingsError("Pulumi.sandbox.yaml: upkeep:models: found 3, expected a list")

    desk.body = broken
    code, out, _ = desk.run("up", "--yes")
    assert code == 1
    assert "Pulumi.sandbox.yaml: upkeep:models: found 3" in out
    assert "Traceback" not in out


def test_down_deletes_everything_dependents_first(desk) -> None:
    desk.run("up", "--yes")
    desk.cloud.log.clear()
    code, out, _ = desk.run("down", "--yes")
    assert (code, desk.cloud.log, desk.cloud.things) == (0, ["delete b", "delete a"], {})
    assert "- 3 deleted" in out


def test_refresh_says_what_is_gone_and_the_next_up_makes_it_again(desk) -> None:
    desk.run("up", "--yes")
    desk.cloud.things.pop("thing-1")
    _, out, _ = desk.run("refresh", "--yes")
    assert "fake:index:Thing b  delete because gone" in out
    _, out, _ = desk.run("up", "--yes")
    assert "fake:index:Thing b created" in out


def test_outputs_of_a_stack_that_is_not_there_say_what_to_do(desk) -> None:
    code, _, err = desk.run("outputs")
    assert code == 1
    assert "Deploy it with `upkeep up`" in err


def test_without_a_sandbox_the_error_says_how_to_start_one(monkeypatch, capsys) -> None:
    monkeypatch.delenv("UPKEEP_STACK", raising=False)
    assert cli.run(["preview", "--port", "1"]) == 1
    assert "`upkeep sandbox" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["up", "--yes"], "up --stack dev --cwd {root} --yes"),
        (["preview", "--diff"], "preview --stack dev --cwd {root} --diff"),
        (["refresh", "-y"], "refresh --stack dev --cwd {root} --yes"),
        (["outputs", "--json"], "stack output --stack dev --cwd {root} --json"),
    ],
)
def test_other_stacks_are_pulumis_and_its_exit_code_is_ours(monkeypatch, tmp_path, argv, expected) -> None:
    seen = tmp_path / "seen"
    tool = tmp_path / "pulumi"
    tool.write_text(f'#!/bin/sh\necho "$@" > {seen}\nexit 7\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert cli.run([*argv, "--stack", "dev"]) == 7
    assert seen.read_text().strip() == expected.format(root=context.ROOT)


@pytest.mark.parametrize(
    ("name", "inside"), [("sandbox", True), ("sandbox-2", True), ("dev", False), ("sandboxed", False)]
)
def test_only_stacks_named_sandbox_live_in_it(name: str, inside: bool) -> None:
    assert deployment.is_sandbox(name) is inside


def test_up_reads_back_what_every_endpoint_really_serves(endpoints) -> None:
    code, out, _ = endpoints.run("up", "--yes")
    assert code == 0
    assert "Read back: flights serves upkeep-dev-flights-v1, as released." in out


def test_a_silent_rollback_is_an_error_with_its_reason_and_nothing_is_deleted(endpoints) -> None:
    endpoints.run("up", "--yes")
    before = dict(endpoints.cloud.things)
    endpoints.shelf.config = endpoints.shelf.config_of(0)
    endpoints.shelf.endpoint = {"FailureReason": "The new variant failed its ping."}
    code, out, _ = endpoints.run("up", "--yes")
    assert code == 1
    assert "serves upkeep-dev-flights-v0-seed, not upkeep-dev-flights-v1" in out
    assert "The new variant failed its ping" in out
    assert "Nothing was deleted; what served serves on." in out
    assert endpoints.cloud.things == before
    code, out, _ = endpoints.run("preview")
    assert (code, "No changes" in out) == (0, True)


def test_json_tells_what_was_read_back(endpoints) -> None:
    endpoints.shelf.config = endpoints.shelf.config_of(0)
    code, out, _ = endpoints.run("up", "--yes", "--json")
    (found,) = json.loads(out)["serving"]
    assert (code, found["ok"], found["expected"]) == (1, False, "upkeep-dev-flights-v1")


def test_an_update_that_the_releases_know_was_taken_back_is_no_error(endpoints) -> None:
    endpoints.shelf.serve(1, 0, last_outcome="rolled_back")
    endpoints.shelf.endpoint = {"FailureReason": "alarm rang"}
    code, out, _ = endpoints.run("up", "--yes")
    assert code == 0
    assert "flights: the last update was taken back: alarm rang." in out


@pytest.mark.parametrize(("serves", "code"), [(1, 0), (0, 1)])
def test_after_the_real_pulumi_the_endpoints_are_read_back_too(endpoints, monkeypatch, serves, code) -> None:
    there = context.Context("dev", endpoints.session, endpoints.shelf.stand.context.outputs)
    monkeypatch.setattr(context, "load", lambda *_: there)
    monkeypatch.setattr(pulumi_cli, "run", lambda *_: 0)
    endpoints.shelf.config = endpoints.shelf.config_of(serves)
    assert endpoints.run("up", "--stack", "dev", "--yes")[0] == code


def test_a_deployment_that_failed_is_not_read_back(endpoints, monkeypatch) -> None:
    monkeypatch.setattr(context, "load", lambda *_: raising(UpkeepError("not deployed"))())
    monkeypatch.setattr(pulumi_cli, "run", lambda *_: 255)
    assert endpoints.run("up", "--stack", "dev", "--yes")[0] == 255
