"""What people are told when a new version waits for them: what it is, and what they can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.outputs import split_uri

# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
MAX_SUBJECT = 100


def of(decision: Mapping[str, Any], summary: str, stack: str, region: str) -> dict[str, str]:
    """Subject and text of the message.

    Args:
        decision: As it is stored.
        summary: What was decided and why, for people.
        stack: Where the version is to be approved.
        region: Where the report lies.
    """
    model, version = decision["model"], decision["version"]
    where = f"--model {model} --stack {stack}"
    lines = [
        summary.strip(),
        "",
        f"Report: {decision['report_uri']}",
        console(decision["report_uri"], region),
        "",
        f"Look at it:  upkeep models show {version} {where}",
        f"Approve it:  upkeep models approve {version} {where}",
        f"Reject it:   upkeep models reject {version} {where}",
        "",
        "What serves now serves on until somebody approves.",
    ]
    subject = f"{stack}: {model} {version} waits for approval"
    return {"subject": subject[:MAX_SUBJECT], "message": "\n".join(lines)}


def console(uri: str, region: str) -> str:
    """Where the S3 console shows an object to those who may see it.

    A link that works without signing in would give the report to whoever reads the message.
    """
    bucket, key = split_uri(uri)
    return f"https://{region}.console.aws.amazon.com/s3/object/{bucket}?region={region}&prefix={key}"
