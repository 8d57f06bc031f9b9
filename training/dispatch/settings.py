"""What the function is deployed with, and the names that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from training.aws import Place, require

_VARIABLES = {
    "PREFIX": "prefix",
    "DATA_BUCKET": "data_bucket",
    "ARTIFACTS_BUCKET": "artifacts_bucket",
    "LEDGER_TABLE": "ledger_table",
    "DISPATCH_QUEUE_URL": "dispatch_queue_url",
    "INTAKE_QUEUE_URL": "intake_queue_url",
    "ALERTS_TOPIC_ARN": "topic_arn",
}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Names of the stack.

    Attributes:
        prefix: ``upkeep-<stack>``.
        data_bucket: Holds incoming files, accepted data and manifests.
        artifacts_bucket: Holds the specs.
        ledger_table: What is known of every file and run.
        dispatch_queue_url: Its own queue.
        intake_queue_url: Where files that were overlooked are told of again.
        topic_arn: Where people are told.
        place: Its own account and region; messages of others are refused.
    """

    prefix: str
    data_bucket: str
    artifacts_bucket: str
    ledger_table: str
    dispatch_queue_url: str
    intake_queue_url: str
    topic_arn: str
    place: Place

    @classmethod
    def load(cls, environment: Mapping[str, str], function_arn: str) -> Settings:
        """Read the environment.

        Raises:
            KeyError: Names all variables that are not set.
        """
        values = require(environment, *_VARIABLES)
        fields = dict(zip(_VARIABLES.values(), values, strict=True))
        return cls(**fields, place=Place.of(function_arn))

    def base(self, model: str) -> str:
        """Start of the names of what belongs to a model."""
        return f"{self.prefix}-{model}"

    def machine_arn(self, model: str) -> str:
        """The state machine that trains a model."""
        return self.place.arn("states", f"stateMachine:{self.base(model)}-retrain")

    def execution_arn(self, model: str, run_id: str) -> str:
        """The execution of a run."""
        return self.place.arn("states", f"execution:{self.base(model)}-retrain:{run_id}")

    def training_job(self, model: str, run_id: str) -> str:
        """Name of the training job of a run."""
        return f"{self.base(model)}-{run_id}"
