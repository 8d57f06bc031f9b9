import re
from pathlib import Path

import pytest

from infra.alarms import RUNBOOK
from monitoring import metrics
from tests.infra.mocks import ACCOUNT, REGION, deploy, standard
from training.ledger.records import NO_MODEL

ROOT = Path(__file__).parents[2]
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:upkeep-test-alerts"


# What the dispatcher has told people already, once per delivery or hold, with names and reasons.
TOLD_OTHERWISE = {"flights-quarantine", "flights-held", "stack-quarantine"}
# The end of a release tells of them.
TOLD_OTHERWISE |= {f"flights-rollout-{kind}" for kind in ("5xx", "latency", "quality", "stop")}


@pytest.mark.parametrize("alarm", standard().of("MetricAlarm"), ids=lambda alarm: alarm.name)
def test_every_alarm_names_its_resource_what_silence_means_and_where_help_is(alarm) -> None:  # type: ignore[no-untyped-def]
    assert alarm["dimensions"], "without dimensions an alarm watches nothing"
    assert alarm["treatMissingData"] in ("notBreaching", "ignore", "breaching")
    assert f"{RUNBOOK}#" in alarm["alarmDescription"]
    told = [] if alarm.name in TOLD_OTHERWISE else [TOPIC]
    assert alarm["alarmActions"] == told
    assert alarm["okActions"] == told


def test_the_runbook_has_the_heading_each_alarm_points_to() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / RUNBOOK).read_text(), re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    for alarm in standard().of("MetricAlarm"):
        assert alarm["alarmDescription"].rpartition("#")[2] in anchors, alarm.name


def test_the_thresholds_come_from_the_spec() -> None:
    limits = {"max_server_errors": 3, "max_client_errors": 4, "max_latency_milliseconds": 250}
    deployment = deploy({"overrides": {"flights": {"monitoring": limits}}})
    assert deployment.one("MetricAlarm", "flights-endpoint-5xx")["threshold"] == 3
    assert deployment.one("MetricAlarm", "flights-endpoint-4xx")["threshold"] == 4
    latency = deployment.one("MetricAlarm", "flights-endpoint-latency")
    assert latency["threshold"] == 250_000, "CloudWatch has it in microseconds"
    assert latency["extendedStatistic"] == "p99"
    assert latency["dimensions"] == {"EndpointName": "upkeep-test-flights", "VariantName": "AllTraffic"}


def test_everything_that_can_fail_silently_has_an_alarm() -> None:
    watched = {(a["namespace"], a["metricName"]) for a in standard().of("MetricAlarm")}
    assert watched == {
        ("AWS/SageMaker", "Invocation5XXErrors"),
        ("AWS/SageMaker", "Invocation4XXErrors"),
        ("AWS/SageMaker", "ModelLatency"),
        ("AWS/States", "ExecutionsFailed"),
        ("AWS/States", "ExecutionsTimedOut"),
        ("AWS/Lambda", "Errors"),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        ("Upkeep", "DeliveriesQuarantined"),
        ("Upkeep", "DeliveriesOverdue"),
        ("Upkeep", "TrainingsHeld"),
        ("Upkeep", "PredictionQualityBreaches"),
        ("Upkeep", "RolloutStops"),
    }
    functions = {f["name"] for f in standard().of("aws:lambda/function:Function")}
    alarmed = {
        a["dimensions"]["FunctionName"]
        for a in standard().of("MetricAlarm")
        if a["namespace"] == "AWS/Lambda"
    }
    assert alarmed == functions
    dead = {q["name"] for q in standard().of("Queue") if q["name"].endswith("-dead")}
    watched_queues = {
        a["dimensions"]["QueueName"] for a in standard().of("MetricAlarm") if a["namespace"] == "AWS/SQS"
    }
    assert watched_queues == dead


def test_alarms_on_our_own_metrics_name_every_dimension_the_metrics_have() -> None:
    for alarm in standard().of("MetricAlarm"):
        if alarm["namespace"] == metrics.NAMESPACE:
            model = NO_MODEL if alarm.name.startswith("stack-") else "flights"
            assert alarm["dimensions"] == {"Stack": "upkeep-test", "Model": model}
            assert alarm["metricName"] in metrics.UNITS


def test_a_changed_threshold_changes_one_alarm_and_nothing_else() -> None:
    changed = deploy({"overrides": {"flights": {"monitoring": {"max_client_errors": 55}}}})
    frozen = {"TrainingJob", "Model", "EndpointConfiguration"}  # see ignore_changes
    before = {r.name: r.inputs for r in standard().custom}
    different = [
        r.name
        for r in changed.custom
        if r.inputs != before[r.name] and r.type.rpartition(":")[2] not in frozen
    ]
    # The spec itself is an object in the artifacts bucket. The endpoint and the release machine name the
    # first configuration, one of the frozen ones: without a state, as here, its name follows the spec.
    follows = ["flights-endpoint", "flights-release-machine"]
    assert sorted(different) == sorted(["flights-endpoint-4xx", "flights-spec", *follows])


def test_an_address_is_subscribed_only_when_one_is_given() -> None:
    assert not standard().of("TopicSubscription")
    subscription = deploy({"alertEmail": "ops@example.com"}).one("TopicSubscription")
    assert (subscription["protocol"], subscription["endpoint"]) == ("email", "ops@example.com")
