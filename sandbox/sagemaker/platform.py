"""What the SageMaker service needs from the rest of the sandbox."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol


class Platform(Protocol):
    """The account around SageMaker: roles, events, logs, metrics, alarms, S3.

    Every method is synchronous and may be called from several worker threads at once.
    """

    @property
    def account_id(self) -> str:
        """Twelve digits."""
        ...

    @property
    def region(self) -> str:
        """Such as us-east-1."""
        ...

    @property
    def endpoint_url(self) -> str:
        """Where containers find AWS."""
        ...

    @property
    def root(self) -> Path:
        """Working directory for the trees of jobs and endpoints.

        Keep it short: a unix socket's path ends at 107 bytes.
        """
        ...

    def role_credentials(self, role_arn: str, session_name: str) -> dict[str, str]:
        """Assume a role for SageMaker; returns AWS_* variables.

        Raises ApiError ValidationException when the role does not exist or does not trust
        sagemaker.amazonaws.com.
        """
        ...

    def s3_client(self, credentials: dict[str, str]) -> Any:
        """A boto3 S3 client that acts with `credentials` (AWS_* variables)."""
        ...

    def put_event(self, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        """Put an EventBridge event with source aws.sagemaker on the default bus."""
        ...

    def put_logs(self, group: str, stream: str, lines: list[tuple[int, str]]) -> None:
        """Append (epoch milliseconds, text) to a log stream; creates group and stream."""
        ...

    def put_metrics(self, namespace: str, data: list[dict[str, Any]]) -> None:
        """Put CloudWatch MetricData entries."""
        ...

    def alarm_states(self, names: list[str]) -> dict[str, str]:
        """The states (OK, ALARM, INSUFFICIENT_DATA) of the alarms that exist among `names`."""
        ...
