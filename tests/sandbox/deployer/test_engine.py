"""What the engine does with a program, shown on a cloud in memory."""

import json
import threading
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import ResourceOptions

from sandbox.deployer.events import Diagnostic, Op
from sandbox.deployer.project import Project
from sandbox.deployer.stack import Result, Stack, read_outputs
from sandbox.deployer.state import Checkpoint
from tests.sandbox.deployer.cloud import Cloud, Group, Listener, Thing, stack


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "dev.json"


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def ops(result: Result) -> dict[str, str]:
    return {step.name: str(step.op) for step in result.steps if step.type == "fake:index:Thing"}


def test_a_second_up_changes_nothing_and_calls_nothing(path: Path, cloud: Cloud) -> None:
    def body() -> None:
        Thing("b", link=Thing("a", size=1).id)

    assert ops(stack(path, cloud, body).up()) == {"a": "create", "b": "create"}
    cloud.log.clear()
    second = stack(path, cloud, body).up()
    assert ops(second) == {"a": "same", "b": "same"}
    assert second.changes == []
    assert cloud.log == []


def test_a_preview_changes_nothing_and_knows_what_is_not_known(path: Path, cloud: Cloud) -> None:
    seen: list[Any] = []

    def body() -> None:
        thing = Thing("a", size=1)
        thing.arn.apply(seen.append)
        pulumi.export("arn", thing.arn)
        pulumi.export("fixed", "x")

    result = stack(path, cloud, body).preview()
    assert ops(result) == {"a": "create"}
    assert result.to_json()["outputs"] == {"arn": "[unknown]", "fixed": "x"}
    assert seen == []
    assert cloud.things == {}
    assert not path.exists()


def test_a_changed_input_updates_only_its_resource_and_shows_old_and_new(path: Path, cloud: Cloud) -> None:
    def body(note: str) -> None:
        a = Thing("a", note=note)
        Thing("b", link=a.id)

    stack(path, cloud, lambda: body("one")).up()
    planned = stack(path, cloud, lambda: body("two")).preview()
    step = next(step for step in planned.steps if step.name == "a")
    assert step.op is Op.UPDATE
    assert step.to_json()["changes"] == {"note": {"kind": "update", "old": "one", "new": "two"}}
    cloud.log.clear()
    stack(path, cloud, lambda: body("two")).up()
    assert cloud.log == ["update a"]


def test_outputs_that_an_update_changes_are_unknown_in_the_preview(path: Path, cloud: Cloud) -> None:
    def body(note: str) -> None:
        a = Thing("a", note=note)
        pulumi.export("version", a.version)
        pulumi.export("arn", a.arn)

    stack(path, cloud, lambda: body("one")).up()
    planned = stack(path, cloud, lambda: body("two")).preview()
    assert planned.to_json()["outputs"] == {"version": "[unknown]", "arn": "arn:thing-0"}


def test_a_replacement_makes_the_new_one_first_and_deletes_the_old_one_last(path: Path, cloud: Cloud) -> None:
    def body(size: int) -> None:
        Thing("user", note="n", opts=ResourceOptions(depends_on=[Thing("a", size=size)]))

    stack(path, cloud, lambda: body(1)).up()
    cloud.log.clear()
    result = stack(path, cloud, lambda: body(2)).up()
    assert ops(result) == {"a": "replace", "user": "same"}
    assert cloud.log == ["create a", "delete a"]
    assert len(cloud.things) == 2


def test_a_fixed_name_is_deleted_before_it_is_made_again_with_its_dependents(
    path: Path, cloud: Cloud
) -> None:
    def body(size: int) -> None:
        a = Thing("a", fixed="the-name", size=size)
        b = Thing("b", link=a.id)
        Thing("c", link=b.id)

    stack(path, cloud, lambda: body(1)).up()
    cloud.log.clear()
    planned = stack(path, cloud, lambda: body(2)).preview()
    assert ops(planned) == {"a": "replace", "b": "replace", "c": "replace"}
    done = stack(path, cloud, lambda: body(2)).up()
    assert done.ok
    assert cloud.log == ["delete c", "delete b", "delete a", "create a", "create b", "create c"]
    assert len(cloud.things) == 3


def test_delete_before_replace_can_be_asked_for(path: Path, cloud: Cloud) -> None:
    def body(size: int) -> None:
        Thing("a", size=size, opts=ResourceOptions(delete_before_replace=True))

    stack(path, cloud, lambda: body(1)).up()
    cloud.log.clear()
    stack(path, cloud, lambda: body(2)).up()
    assert cloud.log == ["delete a", "create a"]


def test_what_vanishes_from_the_program_is_deleted_dependents_first(path: Path, cloud: Cloud) -> None:
    def body(*, full: bool) -> None:
        Thing("stays")
        if full:
            group = Group("g")
            a = Thing("a", opts=ResourceOptions(parent=group))
            b = Thing("b", link=a.id, opts=ResourceOptions(parent=group))
            Thing("c", link=b.id)

    stack(path, cloud, lambda: body(full=True)).up()
    cloud.log.clear()
    result = stack(path, cloud, lambda: body(full=False)).up()
    assert cloud.log == ["delete c", "delete b", "delete a"]
    assert result.counts()["delete"] == 4  # the component is one
    assert len(cloud.things) == 1


def test_a_failure_leaves_a_valid_checkpoint_and_the_next_up_finishes(path: Path, cloud: Cloud) -> None:
    def body() -> None:
        a = Thing("a")
        Thing("b", link=a.id)
        Thing("independent")

    cloud.faults["create b"] = "clean"
    listener = Listener()
    failed = stack(path, cloud, body).up(listener)
    assert not failed.ok
    assert failed.failures == ["fake:index:Thing b: AccessDenied: b"]
    assert any(isinstance(e, Diagnostic) and e.urn.endswith("::b") for e in listener.events)
    Checkpoint.load(path)
    cloud.faults.clear()
    assert stack(path, cloud, body).up().ok
    assert len(cloud.things) == 3


@pytest.mark.parametrize("fault", ["partial", "crash"])
def test_a_half_made_resource_is_replaced_and_never_in_its_own_way(
    path: Path, cloud: Cloud, fault: str
) -> None:
    def body() -> None:
        Thing("a", fixed="the-name")

    cloud.faults["create a"] = fault
    assert not stack(path, cloud, body).up().ok
    assert len(cloud.things) == 1
    cloud.faults.clear()
    cloud.log.clear()
    assert ops(stack(path, cloud, body).preview()) == {"a": "replace"}
    assert stack(path, cloud, body).up().ok
    assert cloud.log == ["delete a", "create a"]
    assert len(cloud.things) == 1


def test_a_half_made_resource_that_the_program_gave_up_is_deleted(path: Path, cloud: Cloud) -> None:
    cloud.faults["create a"] = "crash"
    stack(path, cloud, lambda: Thing("a", fixed="the-name") and None).up()
    cloud.faults.clear()
    assert stack(path, cloud, lambda: Thing("b") and None).up().ok
    assert [thing["id_name"] for thing in cloud.things.values() if thing["id_name"] == "the-name"] == []


def test_after_a_failed_update_the_real_state_is_read_and_repaired(path: Path, cloud: Cloud) -> None:
    stack(path, cloud, lambda: Thing("a", note="one") and None).up()
    cloud.faults["update a"] = "crash"  # it went through, but nobody heard
    stack(path, cloud, lambda: Thing("a", note="two") and None).up()
    cloud.faults.clear()
    back = stack(path, cloud, lambda: Thing("a", note="one") and None).up()
    assert ops(back) == {"a": "update"}
    assert next(iter(cloud.things.values()))["note"] == "one"


def test_what_was_deleted_behind_its_back_is_made_again_after_a_refresh(path: Path, cloud: Cloud) -> None:
    def body() -> None:
        a = Thing("a", note="x")
        Thing("b", link=a.id)

    stack(path, cloud, body).up()
    gone = next(key for key, thing in cloud.things.items() if thing.get("note") == "x")
    del cloud.things[gone]
    refreshed = stack(path, cloud, body).refresh()
    assert ops(refreshed) == {"a": "delete"}
    Checkpoint.load(path)
    repaired = stack(path, cloud, body).up()
    assert ops(repaired) == {"a": "create", "b": "update"}
    assert repaired.ok


def test_what_was_changed_behind_its_back_is_put_right_after_a_refresh(path: Path, cloud: Cloud) -> None:
    def body() -> None:
        Thing("a", note="right")

    stack(path, cloud, body).up()
    next(iter(cloud.things.values()))["note"] = "wrong"
    assert ops(stack(path, cloud, body).refresh()) == {"a": "update"}
    assert ops(stack(path, cloud, body).up()) == {"a": "update"}
    assert next(iter(cloud.things.values()))["note"] == "right"


def test_ignored_changes_leave_the_property_as_it_was(path: Path, cloud: Cloud) -> None:
    def body(note: str, secret: str) -> None:
        Thing("a", note=note, secret=secret, opts=ResourceOptions(ignore_changes=["note"]))

    stack(path, cloud, lambda: body("one", "s")).up()
    assert ops(stack(path, cloud, lambda: body("two", "s")).up()) == {"a": "same"}
    assert ops(stack(path, cloud, lambda: body("two", "t")).up()) == {"a": "update"}
    assert next(iter(cloud.things.values()))["note"] == "one"


def test_a_protected_resource_is_neither_deleted_nor_replaced(path: Path, cloud: Cloud) -> None:
    def body(size: int, *, protect: bool = True) -> None:
        Thing("a", size=size, opts=ResourceOptions(protect=protect))

    stack(path, cloud, lambda: body(1)).up()
    assert "protected" in stack(path, cloud, lambda: body(2)).up().failures[0]
    assert "protected" in stack(path, cloud, lambda: None).up().failures[0]
    assert "protected" in stack(path, cloud, lambda: None).destroy().failures[0]
    assert len(cloud.things) == 1
    assert stack(path, cloud, lambda: body(1, protect=False)).up().ok
    assert stack(path, cloud, lambda: None).destroy().ok
    assert cloud.things == {}


def test_a_teardown_can_keep_what_is_protected_and_all_it_needs(path: Path, cloud: Cloud) -> None:
    def body() -> None:
        group = Group("group", ResourceOptions())
        needed = Thing("needed", fixed="needed")
        kept = Thing("kept", link=needed.id, fixed="kept", opts=ResourceOptions(parent=group, protect=True))
        Thing("goes", link=kept.id, fixed="goes")
        Thing("goes-too", fixed="goes-too", opts=ResourceOptions(parent=group))

    assert stack(path, cloud, body).up().ok
    there = stack(path, cloud, lambda: None)
    planned = there.destroy(dry_run=True, keep_protected=True)
    done = there.destroy(keep_protected=True)
    assert [step.name for step in planned.changes] == [step.name for step in done.changes]
    assert sorted(step.name for step in done.changes) == ["goes", "goes-too"]
    assert [urn.rpartition("::")[2] for urn in done.kept] == ["kept"]
    assert set(done.kept.values()) < set(cloud.things)
    assert len(cloud.things) == 2
    assert sorted(step.name for step in stack(path, cloud, body).up().changes) == ["goes", "goes-too"]


def test_a_retained_resource_leaves_the_state_and_stays_in_the_cloud(path: Path, cloud: Cloud) -> None:
    stack(path, cloud, lambda: Thing("a", opts=ResourceOptions(retain_on_delete=True)) and None).up()
    assert stack(path, cloud, lambda: None).up().ok
    assert len(cloud.things) == 1
    assert "Thing" not in path.read_text()


def test_an_alias_renames_a_resource_and_its_children_without_touching_the_cloud(
    path: Path, cloud: Cloud
) -> None:
    def body(name: str, aliases: list[Any]) -> None:
        group = Group(name, ResourceOptions(aliases=aliases))
        a = Thing(f"{name}-a", fixed="fixed", opts=ResourceOptions(parent=group))
        Thing("b", link=a.id, fixed="other", opts=ResourceOptions(parent=group))

    stack(path, cloud, lambda: body("old", [])).up()
    cloud.log.clear()
    result = stack(path, cloud, lambda: body("new", [pulumi.Alias(name="old")])).up()
    assert result.ok
    assert cloud.log == []
    assert ops(result) == {"new-a": "same", "b": "same"}
    Checkpoint.load(path)


def test_secrets_are_marked_in_the_checkpoint_and_masked_in_results(path: Path, cloud: Cloud) -> None:
    def body() -> None:
        thing = Thing("a", secret=pulumi.Output.secret("hush"))
        pulumi.export("key", pulumi.Output.secret("hush"))
        pulumi.export("plain", thing.arn)

    result = stack(path, cloud, body).up()
    assert "hush" not in json.dumps(result.to_json())
    assert next(iter(cloud.things.values()))["secret"] == "hush"
    document = json.loads(path.read_text())
    thing = next(r for r in document["deployment"]["resources"] if r["type"] == "fake:index:Thing")
    for properties in (thing["inputs"], thing["outputs"]):
        assert properties["secret"]["4dabf18193072939515e22adb298388d"] == "1b47061264138c4ac30d75fd1eb44270"
    assert path.stat().st_mode & 0o077 == 0
    assert read_outputs(path) == {"key": "hush", "plain": "arn:thing-0"}


def test_the_checkpoint_is_pulumis_deployment_version_3(path: Path, cloud: Cloud) -> None:
    def body() -> None:
        group = Group("g")
        a = Thing("a", opts=ResourceOptions(parent=group))
        Thing("b", link=a.id, opts=ResourceOptions(protect=True))

    stack(path, cloud, body).up()
    document = json.loads(path.read_text())
    assert document["version"] == 3
    resources = {r["urn"].rpartition("::")[2]: r for r in document["deployment"]["resources"]}
    assert resources["a"]["urn"] == "urn:pulumi:dev::proj::fake:index:Group$fake:index:Thing::a"
    assert resources["a"]["parent"] == resources["g"]["urn"]
    assert resources["b"]["dependencies"] == [resources["a"]["urn"]]
    assert resources["b"]["propertyDependencies"] == {"link": [resources["a"]["urn"]]}
    assert resources["b"]["protect"] is True
    provider = resources["default"]
    assert resources["a"]["provider"] == f"{provider['urn']}::{provider['id']}"


def test_an_unknown_property_fails_the_preview_by_name_and_so_does_every_other_one(
    path: Path, cloud: Cloud
) -> None:
    def body() -> None:
        Thing("a", colour="red")
        Thing("b", shape="round")

    result = stack(path, cloud, body).preview()
    assert sorted(result.failures) == [
        "fake:index:Thing a: colour: unknown property of Thing",
        "fake:index:Thing b: shape: unknown property of Thing",
    ]


def test_a_program_that_raises_deletes_nothing(path: Path, cloud: Cloud) -> None:
    stack(path, cloud, lambda: Thing("a") and None).up()

    def body() -> None:
        raise KeyError("broken")

    result = stack(path, cloud, body).up()
    assert "KeyError: 'broken'" in result.failures[0]
    assert len(cloud.things) == 1
    assert "fake:index:Thing" in path.read_text()


def test_an_error_about_the_users_files_is_shown_without_a_traceback(path: Path, cloud: Cloud) -> None:
    class SpecError(ValueError):
        pass

    def body() -> None:
        raise SpecError("models/x/model.yaml: task: found 'guess'\nallowed: binary")

    result = stack(path, cloud, body).preview()
    assert result.failures == ["models/x/model.yaml: task: found 'guess'\nallowed: binary"]


def test_the_same_name_twice_is_an_error(path: Path, cloud: Cloud) -> None:
    def body() -> None:
        Thing("a")
        Thing("a")

    assert "two resources have the URN" in stack(path, cloud, body).preview().failures[0]


def test_a_type_of_another_package_is_refused_by_name(path: Path, cloud: Cloud) -> None:
    class Other(pulumi.CustomResource):
        def __init__(self) -> None:
            super().__init__("gcp:index:Thing", "x", {})

    result = stack(path, cloud, lambda: Other() and None).preview()
    assert "'gcp' is not supported by the sandbox; it has: fake" in result.failures[0]


def test_configuration_reaches_the_program(path: Path, cloud: Cloud) -> None:
    seen: list[Any] = []

    def body() -> None:
        config = pulumi.Config("proj")
        seen.extend([config.require_int("n"), config.require_object("models"), pulumi.get_stack()])

    assert stack(path, cloud, body, config={"proj:n": "3", "proj:models": '["a"]'}).preview().ok
    assert seen == [3, ["a"], "dev"]


def test_a_function_is_answered_and_its_error_is_the_programs(path: Path, cloud: Cloud) -> None:
    def body(token: str) -> None:
        answer = pulumi.runtime.invoke(token, {"say": "hello"})
        pulumi.export("said", answer.value["said"])

    assert stack(path, cloud, lambda: body("fake:index:echo")).preview().outputs == {"said": "hello"}
    failed = stack(path, cloud, lambda: body("fake:index:shout")).preview()
    assert "fake:index:shout is not known" in failed.failures[0]


def test_an_unsupported_option_is_refused_by_name(path: Path, cloud: Cloud) -> None:
    def body() -> None:
        Thing("a", opts=ResourceOptions(import_="thing-7"))

    assert "`import`" in stack(path, cloud, body).preview().failures[0]


def test_nothing_starts_after_a_cancellation_and_the_next_up_goes_on(path: Path, cloud: Cloud) -> None:
    def body() -> None:
        a = Thing("a")
        a.id.apply(lambda _: deployed.cancel())
        Thing("b", link=a.id)

    deployed = stack(path, cloud, body)
    assert "cancelled" in deployed.up().failures[-1]
    assert cloud.log == ["create a"]
    Checkpoint.load(path)


def test_a_dependent_waits_for_depends_on(path: Path, cloud: Cloud) -> None:
    def body() -> None:
        last = Thing("z")
        Thing("a", opts=ResourceOptions(depends_on=[last]))

    stack(path, cloud, body).up()
    assert cloud.log == ["create z", "create a"]


def test_a_deletion_that_went_through_unheard_is_noticed(path: Path, cloud: Cloud) -> None:
    stack(path, cloud, lambda: Thing("a") and None).up()
    cloud.faults["delete a"] = "crash"
    assert not stack(path, cloud, lambda: None).up().ok
    cloud.faults.clear()
    assert ops(stack(path, cloud, lambda: Thing("a") and None).up()) == {"a": "create"}
    assert len(cloud.things) == 1


def test_what_has_just_been_replaced_is_no_obstacle_to_deleting_what_it_used(
    path: Path, cloud: Cloud
) -> None:
    def before() -> None:
        a = Thing("a")
        c = Thing("c", fixed="c", link=a.id)
        Thing("e", link=c.id)

    def after() -> None:
        Thing("c")
        Thing("a", fixed="a")

    stack(path, cloud, before).up()
    assert stack(path, cloud, after).up().failures == []
    assert len(cloud.things) == 2
    assert stack(path, cloud, after).up().changes == []


def test_two_ups_of_one_stack_object_never_make_the_same_name(path: Path, cloud: Cloud) -> None:
    size = 1
    deployed = stack(path, cloud, lambda: Thing("a", size=size) and None)
    assert deployed.up().ok
    size = 2
    assert deployed.up().failures == []


def test_a_project_runs_again_and_again_in_one_process(tmp_path: Path, cloud: Cloud) -> None:
    main = tmp_path / "infra"
    main.mkdir()
    (main / "helper.py").write_text("import pulumi\nnote = pulumi.Config().get('note')\n")
    (main / "__main__.py").write_text(
        "import os, pulumi, helper\n"
        "pulumi.export('note', helper.note)\n"
        "pulumi.export('folder', os.path.basename(os.getcwd()))\n"
    )
    for note in ("one", "two"):
        project = Project("proj", tmp_path, main, "dev", {"proj:note": note})
        result = Stack(project, tmp_path / "dev.json", {}).up()
        assert result.failures == []
        assert result.outputs == {"note": note, "folder": "infra"}


def test_what_waits_for_a_deletion_that_never_comes_is_told(path: Path, cloud: Cloud) -> None:
    def first() -> None:
        Thing("user", link=Thing("used", fixed="the-name", size=1).id)

    def second() -> None:
        Thing("fails", size=1)
        Thing("used", fixed="the-name", size=2)
        Thing("user", note=1)

    stack(path, cloud, first).up()
    cloud.faults["create fails"] = "clean"
    results: list[Result] = []
    update = threading.Thread(
        target=lambda: results.append(stack(path, cloud, second, parallel=1).up()), daemon=True
    )
    with cloud.lock:  # until all three are planned
        update.start()
        update.join(0.5)
    update.join(10)
    assert results, "the update never ends"
    assert "Thing used: not started: another resource failed" in "\n".join(results[0].failures)
