import ast
import dataclasses
from pathlib import Path

import infra
from tests.infra.mocks import deploy, program, standard

FOLDER = Path(infra.__file__).parent


def test_the_outputs_are_the_ones_the_command_line_reads() -> None:
    outputs = standard().outputs
    assert set(outputs) == {
        *("region", "data_bucket", "artifacts_bucket", "alerts_topic_arn", "intake_queue_url"),
        *("intake_dead_letters_url", "dispatch_queue_url", "dispatch_dead_letters_url", "ledger_table"),
        *("dashboard_name", "dashboard_url", "models"),
    }
    assert set(outputs["models"]["flights"]) == {
        *("endpoint", "package_group", "retrain_state_machine_arn", "release_state_machine_arn"),
        *("incoming", "seed_job"),
    }


def test_two_runs_of_the_program_declare_the_same() -> None:
    first, second = ({r.name: r.inputs for r in d.custom} for d in (standard(), deploy()))
    assert first == second, "nothing in the plan may depend on the clock or on chance"


def test_every_resource_is_the_child_of_a_component() -> None:
    for resource in standard().custom:
        assert "::upkeep:" in resource.parent, f"{resource.name}: found parent {resource.parent!r}"


def test_only_the_types_that_the_sandbox_knows_are_used() -> None:
    from sandbox.deployer.provider.registry import KINDS

    used = {r.type for r in standard().custom} | {r.type for r in deploy({"alertEmail": "a@b.cd"}).custom}
    assert used <= set(KINDS), f"unknown to the sandbox: {sorted(used - set(KINDS))}"


def test_arguments_of_components_are_frozen_and_by_keyword() -> None:
    found = 0
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and node.name.endswith(("Args", "Plan")):
                found += 1
                (decorator,) = node.decorator_list
                assert ast.unparse(decorator) == "dataclass(frozen=True, kw_only=True)", node.name
    assert found >= 12


def test_type_tokens_are_upkeep_area_and_class_name() -> None:
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any(
                "ComponentResource" in ast.unparse(b) for b in node.bases
            ):
                source = ast.unparse(node)
                assert f":{node.name}'" in source, f"{path.name}: {node.name} has no type token of its own"
                assert source.rstrip().count("self.register_outputs(") == 1, node.name


def test_no_resource_is_made_inside_apply() -> None:
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".apply"):
                assert "aws." not in "".join(ast.unparse(a) for a in node.args), path.name


def test_stack_fields_are_plain_and_frozen() -> None:
    stack = program.Stack
    assert dataclasses.is_dataclass(stack)
    assert stack.__dataclass_params__.frozen


def test_a_stack_without_models_keeps_the_buckets_and_has_no_endpoint() -> None:
    deployment = deploy({"models": []})
    assert deployment.of("aws:s3/bucket:Bucket")
    assert not deployment.of("aws:sagemaker/endpoint:Endpoint")
    assert not deployment.of("TableItem")
