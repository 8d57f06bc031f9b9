"""The account around SageMaker: roles, events, logs, metrics, alarms."""

# ruff: noqa: SLF001 - MiniStack's private names are what this package is for

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

from sandbox.authorization import PassedRole, cannot_assume
from sandbox.lifecycle import ACCOUNT, HOST, REGION
from sandbox.sagemaker.errors import ApiError
from sandbox.seam import sessions
from sandbox.seam.internals import ministack
from sandbox.seam.roles import in_account, trusts


class Account:
    """What SageMaker needs from the rest of the sandbox (`sandbox.sagemaker.platform.Platform`)."""

    account_id = ACCOUNT
    region = REGION

    def __init__(self, port: int, run_dir: Path) -> None:
        self.endpoint_url = f"http://{HOST}:{port}"
        self.root = run_dir / "sm"
        self.root.mkdir(mode=0o700, exist_ok=True)

    def role_credentials(self, role_arn: str, session_name: str) -> dict[str, str]:
        """Assume a role for SageMaker; raises ApiError ValidationException when that is not allowed."""
        if not trusts(role_arn, "sagemaker.amazonaws.com", f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:*"):
            raise ApiError(
                "ValidationException", cannot_assume(PassedRole(role_arn, "sagemaker.amazonaws.com"))
            )
        return sessions.of_role(role_arn, session_name[:64])

    def s3_client(self, credentials: dict[str, str]) -> Any:
        """A boto3 S3 client that acts with `credentials` (AWS_* variables)."""
        import boto3
        from botocore.config import Config

        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=credentials.get("AWS_SESSION_TOKEN"),
            config=Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 3}),
        )

    def put_event(self, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        """Put an EventBridge event with source aws.sagemaker on the default bus."""
        put_event("aws.sagemaker", detail_type, detail, resources)

    def put_logs(self, group: str, stream: str, lines: list[tuple[int, str]]) -> None:
        """Append (epoch milliseconds, text) to a log stream; creates group and stream."""
        in_account(lambda: _put_logs(group, stream, lines))

    def put_metrics(self, namespace: str, data: list[dict[str, Any]]) -> None:
        """Put CloudWatch MetricData entries."""
        cloudwatch = ministack("services.cloudwatch")
        in_account(
            lambda: cloudwatch._put_metric_data({}, {"Namespace": namespace, "MetricData": data}, False, True)
        )

    def alarm_states(self, names: list[str]) -> dict[str, str]:
        """The states of the alarms that exist among `names`."""
        cloudwatch = ministack("services.cloudwatch")

        def states() -> dict[str, str]:
            found = {
                name: cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name) for name in names
            }
            return {name: alarm["StateValue"] for name, alarm in found.items() if alarm}

        return cast("dict[str, str]", in_account(states))


def put_event(source: str, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
    """Put an event of an AWS service on the default bus."""
    entry = {
        "Source": source,
        "DetailType": detail_type,
        "Detail": json.dumps(detail, default=_epoch_milliseconds),
        "Resources": resources,
    }
    in_account(
        lambda: ministack("services.eventbridge")._put_events({"Entries": [entry]}, allow_aws_source=True)
    )


def _epoch_milliseconds(value: Any) -> int:
    """Times in service events are epoch milliseconds."""
    return int(value.timestamp() * 1000)


def _put_logs(group: str, stream: str, lines: list[tuple[int, str]]) -> None:
    logs = ministack("services.cloudwatch_logs")
    name = {"logGroupName": group}
    if group not in logs._log_groups:
        logs._create_log_group(name)
    if stream not in logs._log_groups[group]["streams"]:
        logs._create_log_stream({**name, "logStreamName": stream})
    events = [{"timestamp": stamp, "message": text} for stamp, text in lines]
    logs._put_log_events({**name, "logStreamName": stream, "logEvents": events})
