"""What the release state machine is made from, and how long it waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from infra.naming import Names
from models.spec import ModelSpec

# An update takes a few seconds in the sandbox and some minutes on AWS: look often at first, then seldom.
# 30 looks of 2 s and 360 of 10 s are an hour and some 5,000 of the 25,000 events an execution may have.
FIRST_PAUSE_SECONDS = 2
LATER_PAUSE_SECONDS = 10
FIRST_LOOKS = 30
MAX_LOOKS = 390
# Two releases may meet at UpdateEndpoint; the later one waits and tries again.
MAX_UPDATES = 3
# An endpoint that still names the old configuration so soon after the call may not have noticed yet.
SETTLING_LOOKS = 3
VERIFY_TIMEOUT_SECONDS = 300
TIMEOUT_SECONDS = 3 * 3600
MOVING = ("Updating", "SystemUpdating", "RollingBack", "Creating")


@dataclass(frozen=True, kw_only=True)
class ReleasePlan:
    """What the definition is made from: plain values only.

    Attributes:
        names: Names of the stack.
        spec: The model.
        role_arn: Role of the serving container.
        key_arn: Key that recorded requests are encrypted with.
        topic_arn: Where a failure is announced.
        verify_arn: The verifying function.
        data_bucket: Bucket that requests are recorded in.
        tags: Put on models and endpoint configurations.
    """

    names: Names
    spec: ModelSpec
    role_arn: str
    key_arn: str
    topic_arn: str
    verify_arn: str
    data_bucket: str
    tags: Mapping[str, str]
