"""What the protocol looks at and what it is asked to do: plain, hashable values."""

from __future__ import annotations

from dataclasses import dataclass

from training.ledger.rollouts import EXPERIMENT as EXPERIMENT
from training.ledger.rollouts import FAILED as FAILED
from training.ledger.rollouts import LIVE as LIVE
from training.ledger.rollouts import MARKS as MARKS
from training.ledger.rollouts import REFUSED as REFUSED
from training.ledger.rollouts import RETRY as RETRY
from training.ledger.rollouts import ROLLED_BACK as ROLLED_BACK
from training.ledger.rollouts import SUPERSEDED as SUPERSEDED
from training.ledger.rollouts import RolloutRecord

APPROVED = "Approved"
# What a rollout comes to when its approval was taken back before anything happened; no mark.
WITHDRAWN = "withdrawn"

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html
IN_SERVICE, UPDATING_STATUS = "InService", "Updating"
# In service "with a mix of the old and new endpoint configurations", same page; an update may mend it.
ROLLBACK_FAILED = "UpdateRollbackFailed"
MOVING = ("Creating", "Updating", "SystemUpdating", "RollingBack")

PREVIOUS, SEED = "previous", "seed"


@dataclass(frozen=True, kw_only=True)
class Release:
    """Bring an approved version into service."""

    package_arn: str


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """Go back.

    Attributes:
        to: ``previous``, ``seed``, or the ARN of a version that served before.
        away: The configuration to get away from: with ``previous`` there is nothing to do once it neither
            serves nor comes. Empty when it is not known yet.
        reason: Why, for people.
        by: Who wants it.
    """

    to: str = PREVIOUS
    away: str = ""
    reason: str = ""
    by: str = ""


@dataclass(frozen=True, kw_only=True)
class Recover:
    """End what an execution that died has left behind."""


Operation = Release | Rollback | Recover


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The endpoint as SageMaker describes it.

    Attributes:
        status: Its status; ``Missing`` when there is none.
        config: The configuration in service.
        failure: Why its last change failed; may be of an earlier one.
        token: Time of its last change. Every update sets it, one that is taken back as well.
    """

    status: str = IN_SERVICE
    config: str = ""
    failure: str = ""
    token: str = ""


@dataclass(frozen=True, kw_only=True)
class Package:
    """A version in the registry.

    Attributes:
        arn: Its ARN.
        version: For people.
        approval: Its approval status.
        mark: What became of its release, one of ``MARKS``; anything else is no mark.
    """

    arn: str
    version: str = ""
    approval: str = APPROVED
    mark: str = ""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A configuration that a rollback could go back to.

    Attributes:
        config: Its name.
        package_arn: Its version; empty for the seed.
        version: For people.
        problem: Why it cannot serve; empty when configuration, model and artifact are all there.
    """

    config: str
    package_arn: str = ""
    version: str = ""
    problem: str = ""


ABSENT, RUNNING, BROKEN, PASSED, NOT_PASSED = "absent", "running", "broken", "passed", "not passed"


@dataclass(frozen=True, kw_only=True)
class Check:
    """The check of a new version before it gets traffic.

    Attributes:
        state: absent, running, broken (the job failed without a result), passed, not passed.
        reason: In words.
    """

    state: str = ABSENT
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """Everything a decision is made on, read at one moment.

    Attributes:
        rollout: The ledger's record.
        endpoint: The endpoint.
        packages: The versions that matter now.
        to_config: Name of the configuration that the operation's version is served from.
        prepared: Whether model and configuration of the rollout under way are there.
        owner_gone: Whether the execution that holds the claim has ended, and its last call too.
        way_back: Why what serves could not be gone back to; empty when it could.
        ahead: Why the configuration that a rollback goes to cannot serve; empty when it can.
        check: The check of the rollout under way.
        check_wanted: Whether the model spec asks for one.
        stop_rings: Whether the stop alarm is in state ALARM.
        ringing: Other rollback alarms in state ALARM.
        targets: What the wanted rollback could go back to, best first.
        overdue: Whether the rollout under way takes longer than it may.
        now: Seconds since 1970.
    """

    rollout: RolloutRecord
    endpoint: Endpoint
    packages: tuple[Package, ...] = ()
    to_config: str = ""
    prepared: bool = False
    owner_gone: bool = False
    way_back: str = ""
    ahead: str = ""
    check: Check = Check()
    check_wanted: bool = True
    stop_rings: bool = False
    ringing: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    overdue: bool = False
    now: float = 0

    def package(self, arn: str) -> Package | None:
        """One of the versions; None when it is not in the registry."""
        return next((one for one in self.packages if one.arn == arn), None)

    def approved(self, arn: str) -> bool:
        """Whether a version may serve; the seed always may."""
        found = self.package(arn)
        return not arn or (found is not None and found.approval == APPROVED)
