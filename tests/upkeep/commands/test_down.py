"""`upkeep down` of a stack that protects its data, in memory and handed over to `pulumi`."""

import json
import os

import pytest
from pulumi import ResourceOptions

from tests.sandbox.deployer.cloud import Cloud, Thing, stack
from tests.upkeep.fakes import FakeContext
from upkeep import cli, context, deployment, keeping, teardown
from upkeep.errors import UpkeepError
from upkeep.keeping import BUCKET, Kept

DATA = Kept(type=BUCKET, id="data")


@pytest.fixture
def given_up(monkeypatch):
    """What was emptied; the things of the fake cloud stand for buckets."""
    emptied = []
    monkeypatch.setattr(keeping, "of_resources", lambda found: [DATA] if found else [])
    monkeypatch.setattr(keeping, "words", lambda _s, _r, kept: [f"bucket {one.id}: 2 MB" for one in kept])
    monkeypatch.setattr(keeping, "give_up", lambda _s, _r, kept, *_: emptied.extend(kept))
    return emptied


@pytest.fixture
def cloud(monkeypatch, tmp_path):
    made = Cloud()

    def body() -> None:
        kept = Thing("kept", opts=ResourceOptions(protect=True))
        Thing("goes", link=kept.id)

    there = stack(tmp_path / "prod.json", made, body)
    monkeypatch.setattr(deployment, "open_target", lambda name, _port: deployment.Target(name, None, there))
    assert there.up().ok
    made.log.clear()
    return made


def down(capsys, *options):
    code = cli.run(["down", "--stack", "sandbox-prod", *options])
    return code, *capsys.readouterr()


def test_protected_data_is_kept_and_listed_with_the_way_to_delete_it(cloud, given_up, capsys) -> None:
    code, out, _ = down(capsys, "--yes")
    assert (code, cloud.log, given_up) == (0, ["delete goes"], [])
    assert "Kept, because the stack protects its data (upkeep:protect), and still paid for:" in out
    assert "bucket data: 2 MB" in out
    assert "`upkeep down --stack sandbox-prod --with-data` deletes it for good." in out


def test_what_is_kept_is_part_of_the_json(cloud, given_up, capsys) -> None:
    code, out, _ = down(capsys, "--yes", "--json")
    (urn,) = json.loads(out[: out.rindex("}") + 1])["kept"]
    assert (code, urn.rpartition("::")[2]) == (0, "kept")


def test_with_data_everything_goes(cloud, given_up, capsys) -> None:
    code, out, _ = down(capsys, "--yes", "--with-data")
    assert (code, given_up, cloud.things) == (0, [DATA], {})
    assert "to be deleted for good: bucket data: 2 MB" in out
    assert "Kept" not in out


@pytest.mark.parametrize("typed", ["", "yes", "prod"])
def test_data_goes_only_when_the_stacks_name_is_typed(cloud, given_up, capsys, monkeypatch, typed) -> None:
    monkeypatch.setattr("typer.prompt", lambda _question: typed)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    code, out, _ = down(capsys, "--with-data")
    assert (code, given_up, cloud.log) == (1, [], [])
    assert "Nothing was changed." in out


class Pulumi:
    """A `pulumi` that writes down what it is asked and exports one protected bucket."""

    def __init__(self, folder, monkeypatch) -> None:
        self.seen = folder / "seen"
        urn = f"urn:pulumi:prod::upkeep::upkeep:storage:Storage${BUCKET}::storage-data"
        resources = [{"urn": urn, "id": "data", "protect": True}]
        (folder / "export.json").write_text(json.dumps({"deployment": {"resources": resources}}))
        tool = folder / "pulumi"
        tool.write_text(
            f'#!/bin/sh\necho "$@" >> {self.seen}\n[ "$2" = export ] && cat {folder}/export.json\nexit 0\n'
        )
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def asked(self):
        return [line.split(" --stack")[0] for line in self.seen.read_text().splitlines()]


@pytest.fixture
def pulumi(tmp_path, monkeypatch):
    there = FakeContext({})
    there.session = None
    monkeypatch.setattr(context, "load", lambda _stack: there)
    monkeypatch.setattr(teardown, "sweep", lambda *_: None)
    monkeypatch.setattr(teardown, "sweep_after", lambda *_: None)
    there.session = object()
    return Pulumi(tmp_path, monkeypatch)


def test_the_real_pulumi_leaves_what_is_protected(pulumi, monkeypatch, capfd) -> None:
    monkeypatch.setattr(keeping, "words", lambda _s, _r, kept: [f"bucket {one.id}: 2 MB" for one in kept])
    assert cli.run(["down", "--stack", "prod", "--yes"]) == 0
    assert pulumi.asked() == ["destroy", "stack export"]
    assert "--exclude-protected" in pulumi.seen.read_text()
    assert "bucket data: 2 MB" in capfd.readouterr().out


def test_with_data_the_real_pulumi_is_told_that_nothing_is_protected_any_more(
    pulumi, monkeypatch, capfd
) -> None:
    order = []
    monkeypatch.setattr(keeping, "words", lambda *_: [])
    monkeypatch.setattr(keeping, "give_up", lambda _s, _r, kept, *_: order.extend(kept))
    assert cli.run(["down", "--stack", "prod", "--yes", "--with-data"]) == 0
    assert pulumi.asked()[:2] == ["stack export", "stack export"]
    assert pulumi.asked()[2:4] == ["state unprotect --all", "destroy"]
    assert order == [DATA]


def test_a_stack_that_cannot_be_read_loses_nothing_of_its_data(pulumi, monkeypatch, capfd) -> None:
    def unknown(_stack):
        raise UpkeepError("no outputs")

    monkeypatch.setattr(context, "load", unknown)
    assert cli.run(["down", "--stack", "prod", "--yes", "--with-data"]) == 0
    assert pulumi.asked() == ["destroy"]
    assert "Nothing of the workflows is deleted: no outputs" in capfd.readouterr().out
