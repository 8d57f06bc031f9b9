"""Names of Upkeep's own CloudWatch metrics, and how they are written.

Metrics go to the log in CloudWatch's embedded metric format, so a function needs no permission for them and
waits for no call. Every metric has the dimensions ``Stack`` (``upkeep-<stack>``) and ``Model``, and no other:
an alarm must name all of them.
"""

from __future__ import annotations

from collections.abc import Mapping

NAMESPACE = "Upkeep"
STACK, MODEL = "Stack", "Model"

FILES_ACCEPTED = "FilesAccepted"
FILES_QUARANTINED = "FilesQuarantined"
ROWS_ACCEPTED = "RowsAccepted"
ROWS_DROPPED = "RowsDropped"
DELIVERIES_QUARANTINED = "DeliveriesQuarantined"
DELIVERIES_OVERDUE = "DeliveriesOverdue"
TRAININGS_HELD = "TrainingsHeld"
TRAINING_SPEND = "TrainingSpend"
CHALLENGER_SCORE = "ChallengerScore"
CHAMPION_SCORE = "ChampionScore"
CHALLENGERS_PROMOTED = "ChallengersPromoted"
CHALLENGERS_REFUSED = "ChallengersRefused"
RELEASES_VERIFIED = "ReleasesVerified"
RELEASES_FAILED = "ReleasesFailed"
# Put by whoever learns how good the answers were; one of them takes a rollout back.
PREDICTION_QUALITY_BREACHES = "PredictionQualityBreaches"
# Put by nobody: the alarm on it is set by hand, which stops a rollout.
ROLLOUT_STOPS = "RolloutStops"

UNITS: dict[str, str] = {
    FILES_ACCEPTED: "Count",
    FILES_QUARANTINED: "Count",
    ROWS_ACCEPTED: "Count",
    ROWS_DROPPED: "Count",
    DELIVERIES_QUARANTINED: "Count",
    DELIVERIES_OVERDUE: "Count",
    TRAININGS_HELD: "Count",
    TRAINING_SPEND: "None",  # US dollars
    CHALLENGER_SCORE: "None",
    CHAMPION_SCORE: "None",
    CHALLENGERS_PROMOTED: "Count",
    CHALLENGERS_REFUSED: "Count",
    RELEASES_VERIFIED: "Count",
    RELEASES_FAILED: "Count",
    PREDICTION_QUALITY_BREACHES: "Count",
    ROLLOUT_STOPS: "Count",
}


def emit(stack: str, model: str, values: Mapping[str, float]) -> None:
    """Write metrics of one model to the log.

    Args:
        stack: The prefix of the stack's names, ``upkeep-<stack>``.
        model: The model's name.
        values: Metric name to value; the unit is that of ``UNITS``.
    """
    from aws_lambda_powertools.metrics import MetricUnit
    from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

    # An empty service keeps out the dimension powertools would add from POWERTOOLS_SERVICE_NAME.
    metrics = AmazonCloudWatchEMFProvider(namespace=NAMESPACE, service="")
    metrics.add_dimension(STACK, stack)
    metrics.add_dimension(MODEL, model)
    for name, value in values.items():
        unit = MetricUnit.Count if UNITS[name] == "Count" else MetricUnit.NoUnit
        metrics.add_metric(name=name, unit=unit, value=value)
    metrics.flush_metrics()
