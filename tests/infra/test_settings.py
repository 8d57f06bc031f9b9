from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.settings import DEFAULTS, SettingsError
from tests.infra.mocks import deploy

ROOT = Path(__file__).parents[2]


def test_the_schema_in_pulumi_yaml_has_the_same_keys_and_defaults() -> None:
    schema = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert {key: entry["default"] for key, entry in schema.items()} == DEFAULTS


def test_the_schema_uses_only_types_that_pulumi_knows() -> None:
    schema = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    kinds = {str: "string", bool: "boolean", int: "integer", list: "array", dict: "object"}
    for key, entry in schema.items():
        assert entry["type"] == kinds[type(DEFAULTS[key])], key
        assert entry["description"].endswith("."), f"{key}: a sentence says what it is for"


@pytest.mark.parametrize("stack", ["dev", "staging", "prod", "sandbox"])
def test_every_stack_file_deploys(stack: str) -> None:
    config: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    deployment = deploy(config | {"upkeep:lambdaDependencies": "preinstalled"}, stack)
    assert deployment.outputs["models"]["flights"]["endpoint"] == f"upkeep-{stack}-flights"


def test_all_errors_are_reported_together_and_nothing_is_declared() -> None:
    with pytest.raises(SettingsError) as caught:
        deploy(
            {
                "models": ["flights", "nope"],
                "approval": "perhaps",
                "alertEmail": "nobody",
                "logRetentionDays": 8,
                "forceDestroy": "maybe",
                "captureRetentionDays": "soon",
                "overrides": {"flights": {"gate": {"metric": "rmse"}, "serving": {"instances": 3}}},
            }
        )
    text = str(caught.value)
    for told in (
        "upkeep:approval: found 'perhaps', expected one of gate, manual",
        "upkeep:alertEmail: found 'nobody'",
        "upkeep:logRetentionDays: found 8, expected one of 1, 3, 5",
        "upkeep:forceDestroy: found 'maybe', expected true or false",
        "upkeep:captureRetentionDays: found 'soon'",
        "models/nope/model.yaml: no such file; models here: flights",
        "models/flights/model.yaml: serving.instances: unknown key",
        "nothing was deployed",
    ):
        assert told in text, text
    assert len(caught.value.errors) == 7


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"models": [1]}, "upkeep:models: found [1]"),
        ({"models": "flights"}, "upkeep:models: found 'flights', expected a list"),
        ({"models": ["flights", "flights"]}, "repeated: flights"),
        ({"overrides": ["flights"]}, "upkeep:overrides: found ['flights'], expected keys and values"),
        ({"overrides": {"flights": 3}}, "upkeep:overrides: found {'flights': 3}"),
        ({"overrides": {"other": {}}}, "overrides.other: no such model in this stack"),
        ({"versionRetentionDays": 0}, "upkeep:versionRetentionDays: found 0"),
        ({"lambdaDependencies": "layer"}, "expected one of bundle, preinstalled"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(config: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match="configuration of stack test") as caught:
        deploy(config)
    assert told in str(caught.value)


def test_overrides_reach_the_resources() -> None:
    deployment = deploy(
        {"overrides": {"flights": {"serving": {"instance_count": 3}, "monitoring": {"max_server_errors": 7}}}}
    )
    variant = deployment.one("EndpointConfiguration")["productionVariants"][0]
    assert variant["initialInstanceCount"] == 3
    assert deployment.one("MetricAlarm", "flights-endpoint-5xx")["threshold"] == 7
