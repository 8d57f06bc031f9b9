"""What the intake function is deployed with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from training.aws import Place, require


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The function's environment.

    Attributes:
        prefix: ``upkeep-<stack>``.
        data_bucket: Holds incoming, accepted, rejected and quarantine.
        artifacts_bucket: Holds the specs.
        ledger_table: Where it is kept what became of every object.
        intake_queue_url: Where its messages come from.
        dispatch_queue_url: Who decides about trainings listens there.
        max_receives: How often a message is delivered before it becomes a dead letter.
        place: Its own account and region; events and buckets of others are refused.
    """

    prefix: str
    data_bucket: str
    artifacts_bucket: str
    ledger_table: str
    intake_queue_url: str
    dispatch_queue_url: str
    max_receives: int
    place: Place

    @property
    def queue(self) -> str:
        """Name of the queue whose messages are taken."""
        return f"{self.prefix}-intake"

    @classmethod
    def load(cls, environment: Mapping[str, str], function_arn: str) -> Settings:
        """Read the environment.

        Raises:
            KeyError: Names all variables that are not set.
            ValueError: MAX_RECEIVES is no number.
        """
        names = (
            "DATA_BUCKET", "ARTIFACTS_BUCKET", "PREFIX", "LEDGER_TABLE", "INTAKE_QUEUE_URL",
            "DISPATCH_QUEUE_URL", "MAX_RECEIVES",
        )  # fmt: skip
        data, artifacts, prefix, table, own_queue, queue, receives = require(environment, *names)
        return cls(
            prefix=prefix,
            data_bucket=data,
            artifacts_bucket=artifacts,
            ledger_table=table,
            intake_queue_url=own_queue,
            dispatch_queue_url=queue,
            max_receives=int(receives),
            place=Place.of(function_arn),
        )
