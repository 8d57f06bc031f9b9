"""A process that dies at any step of `up` or of a teardown, and files of the state that are lost or torn."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pulumi import ResourceOptions

from sandbox.deployer import kept
from sandbox.deployer.interface import ProviderError
from sandbox.deployer.stack import Result, Stack
from sandbox.deployer.state import Checkpoint, CheckpointError
from tests.sandbox.deployer.cloud import Cloud, CrashError, FakeProvider, Group, Listener, Thing, stack


class Power:
    """Goes out between two things that are written or done: nothing is done any more."""

    def __init__(self, at: int) -> None:
        self.left = at
        self.out = False

    def __call__(self, action: Callable[[], Any]) -> Any:
        if self.out:
            raise CrashError("there is no power")
        self.left -= 1
        self.out = self.left < 0
        if self.out:
            raise CrashError("the power goes out")
        return action()


class Machine:
    """A stack on a machine whose power can go out; `body` is what its program asks for."""

    def __init__(self, path: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.cloud, self._patch = path, cloud, monkeypatch

    def until_it_dies(
        self, power: Power, body: Callable[[], None], operation: Callable[[Stack], Result]
    ) -> bool:
        """Run an operation; say whether the power went out."""
        replace, provider = kept._replace, FakeProvider
        with self._patch.context() as patch:
            patch.setattr(kept, "_replace", lambda *args: power(lambda: replace(*args)))
            for name in ("create", "update", "delete"):
                real = getattr(provider, name)
                patch.setattr(
                    provider, name, lambda *args, real=real, **more: power(lambda: real(*args, **more))
                )
            try:
                operation(stack(self.path, self.cloud, body, parallel=1))
            except (CrashError, ProviderError):
                assert power.out
        return power.out

    def run(self, body: Callable[[], None], operation: Callable[[Stack], Result]) -> Result:
        return operation(stack(self.path, self.cloud, body))


def _first() -> None:
    """One that is replaced before its dependent, one that is protected and needed, and one that will go."""
    group = Group("group")
    base = Thing("base", size=1)
    kept_one = Thing("kept", fixed="kept", opts=ResourceOptions(parent=group, protect=True))
    Thing("user", fixed="user", link=base.id, note="one")
    Thing("goes", link=kept_one.id)


def _second() -> None:
    """Makes, changes, replaces in both orders and deletes."""
    group = Group("group")
    base = Thing("base", size=2)
    kept_one = Thing("kept", fixed="kept", opts=ResourceOptions(parent=group, protect=True))
    Thing("user", fixed="user", link=base.id, note="two")
    Thing("new", link=kept_one.id)


def _names(cloud: Cloud, path: Path) -> list[str]:
    by_id = {item.id: item.name for item in Checkpoint.load(path).resources() if item.custom}
    return sorted(by_id[id_] for id_ in cloud.things)


def _every_step(
    tmp_path: Path, prepare: Callable[[Machine], None], run: Callable[[Machine, Power], bool], patch: Any
) -> list[Machine]:
    """A machine that died, for every step there is to die at."""
    dead: list[Machine] = []
    while True:
        machine = Machine(tmp_path / str(len(dead)) / "dev.json", Cloud(), patch)
        prepare(machine)
        if not run(machine, Power(len(dead))):
            return dead
        dead.append(machine)


def _deployed(machine: Machine) -> None:
    assert machine.run(_first, Stack.up).ok


def _keeping(there: Stack) -> Result:
    return there.destroy(keep_protected=True)


@pytest.mark.parametrize("body", [_first, _second])
def test_an_up_that_dies_at_any_step_is_finished_by_the_next(tmp_path, monkeypatch, body):
    fresh = body is _first
    dead = _every_step(
        tmp_path,
        (lambda machine: None) if fresh else _deployed,
        lambda machine, power: machine.until_it_dies(power, body, Stack.up),
        monkeypatch,
    )
    assert len(dead) > 30
    for machine in dead:
        done = machine.run(body, Stack.up)
        assert done.failures == []
        wanted = ["base", "goes" if fresh else "new", "kept", "user"]
        assert _names(machine.cloud, machine.path) == sorted(wanted), "no orphan, no duplicate"
        machine.cloud.log.clear()
        assert (machine.run(body, Stack.up).changes, machine.cloud.log) == ([], [])


def test_a_teardown_that_dies_at_any_step_is_finished_by_the_next(tmp_path, monkeypatch):
    dead = _every_step(
        tmp_path,
        _deployed_without_protection,
        lambda machine, power: machine.until_it_dies(power, lambda: None, Stack.destroy),
        monkeypatch,
    )
    assert len(dead) > 15
    for machine in dead:
        assert machine.run(lambda: None, Stack.destroy).failures == []
        assert machine.cloud.things == {}
        assert Checkpoint.load(machine.path).resources() == []


def test_a_teardown_that_keeps_what_is_protected_and_dies_at_any_step_is_finished_by_the_next(
    tmp_path, monkeypatch
):
    dead = _every_step(
        tmp_path,
        _deployed,
        lambda machine, power: machine.until_it_dies(power, lambda: None, _keeping),
        monkeypatch,
    )
    assert len(dead) > 10
    for machine in dead:
        done = machine.run(lambda: None, _keeping)
        assert done.failures == []
        assert [urn.rpartition("::")[2] for urn in done.kept] == ["kept"]
        assert _names(machine.cloud, machine.path) == ["kept"]
        assert machine.run(_first, Stack.up).ok, "what was kept is there for the next one"
        assert _names(machine.cloud, machine.path) == ["base", "goes", "kept", "user"]


def _deployed_without_protection(machine: Machine) -> None:
    assert machine.run(_unprotected, Stack.up).ok


def _unprotected() -> None:
    group = Group("group")
    base = Thing("base", size=1)
    kept_one = Thing("kept", fixed="kept", opts=ResourceOptions(parent=group))
    Thing("user", fixed="user", link=base.id, note="one")
    Thing("goes", link=kept_one.id)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path / "dev.json", Cloud(), monkeypatch)
    assert made.run(_only_user, Stack.up).ok
    return made


def test_a_checkpoint_cut_off_at_any_byte_is_read_from_its_copy(machine):
    whole = machine.path.read_bytes()
    before = [item.to_json() for item in Checkpoint.load(machine.path).resources()]
    for length in range(len(whole)):
        machine.path.write_bytes(whole[:length])
        found = kept.load(machine.path)
        assert found.document == json.loads(whole)
        assert "its copy dev.json.kept is used" in found.warning
    checkpoint = Checkpoint.load(machine.path)
    assert [item.to_json() for item in checkpoint.resources()] == before
    assert checkpoint.warning == found.warning


def test_a_checkpoint_cut_off_at_any_byte_with_its_copy_is_an_error_and_never_an_empty_stack(machine):
    whole = machine.path.read_bytes()
    for length in range(len(whole)):
        machine.path.write_bytes(whole[:length])
        kept.copy_of(machine.path).write_bytes(whole[:length])
        with pytest.raises(kept.UnreadableError):
            kept.load(machine.path)
    with pytest.raises(CheckpointError, match=r"dev\.json cannot be read.*Nothing was changed"):
        Checkpoint.load(machine.path)
    machine.path.unlink()
    with pytest.raises(CheckpointError, match=r"dev\.json is not there; .*dev\.json\.kept cannot be read"):
        Checkpoint.load(machine.path)


@pytest.mark.parametrize("content", [b"[]", b"null", b'"text"', b"{}", b'{"version": 3}', b"\xff\xfe"])
def test_a_file_that_holds_something_else_is_no_checkpoint(machine, content):
    kept.copy_of(machine.path).unlink()
    machine.path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"dev\.json"):
        Checkpoint.load(machine.path)


@pytest.mark.parametrize("lost", ["torn", "gone"])
def test_after_a_crash_and_the_loss_of_the_file_the_next_up_converges_and_says_so(
    tmp_path, monkeypatch, lost
):
    dead = _every_step(
        tmp_path,
        _deployed,
        lambda machine, power: machine.until_it_dies(power, _second, Stack.up),
        monkeypatch,
    )
    for machine in dead:
        if machine.path.read_bytes() != kept.copy_of(machine.path).read_bytes():
            continue  # it died between the two: the first one is whole, and nothing else went wrong
        if lost == "torn":
            machine.path.write_bytes(machine.path.read_bytes()[:100])
        else:
            machine.path.unlink()
        told = Listener()
        done = stack(machine.path, machine.cloud, _second).up(told)
        assert done.failures == []
        assert "its copy dev.json.kept is used" in told.events[0].message
        assert _names(machine.cloud, machine.path) == ["base", "kept", "new", "user"]


def _only_user() -> None:
    Thing("user", fixed="user")


def test_without_any_state_nothing_is_made_twice(machine):
    """Names that the program gives: what is there already is refused, and named."""
    machine.path.unlink()
    kept.copy_of(machine.path).unlink()
    there = set(machine.cloud.things)
    done = machine.run(_only_user, Stack.up)
    assert "AlreadyExists: user" in done.failures[0]
    assert set(machine.cloud.things) == there


def test_the_files_are_their_owners_alone_and_the_same(machine):
    copy = kept.copy_of(machine.path)
    assert machine.path.read_bytes() == copy.read_bytes()
    assert [path.stat().st_mode & 0o077 for path in (machine.path, copy)] == [0, 0]
    assert json.loads(copy.read_text())["version"] == 3
    assert sorted(path.name for path in machine.path.parent.iterdir()) == ["dev.json", "dev.json.kept"]
