"""What the messages of the dispatch queue say. Nothing here calls AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MODEL_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")  # as models.spec allows
_RETRAIN, _RELEASE = "-retrain", "-release"


class RefusedMessageError(Exception):
    """A message that is not ours; it ends in the dead-letter queue."""


@dataclass(frozen=True)
class Wake:
    """Look at one model.

    Attributes:
        model: Its name.
        why: arrival, forced, again, release, or retrain and release for an execution that ended.
        ended: Run id of the training that ended, if one did.
    """

    model: str
    why: str
    ended: str | None = None


@dataclass(frozen=True)
class Sweep:
    """Look at all models, and for files that were overlooked."""


def read(record: Mapping[str, Any], *, prefix: str, account: str) -> Wake | Sweep:
    """Read a message: a wake of our own functions and people, an ended execution, or the schedule.

    Only which model to look at is taken from it; what is true is asked of AWS.

    Args:
        record: One of the Lambda event's Records.
        prefix: ``upkeep-<stack>``.
        account: The function's own.

    Raises:
        RefusedMessageError: It comes from elsewhere or says something else.
    """
    source = str(record.get("eventSourceARN", ""))
    parts = source.split(":")
    if parts[2:3] != ["sqs"] or parts[4:6] != [account, f"{prefix}-dispatch"]:
        raise RefusedMessageError(
            f"eventSourceARN: found {source!r}, expected queue {prefix}-dispatch of account {account}"
        )
    try:
        body = json.loads(record["body"])
    except (KeyError, TypeError, ValueError) as error:
        raise RefusedMessageError(f"body: expected JSON, {error}") from error
    if not isinstance(body, Mapping):
        raise RefusedMessageError(f"body: found a {type(body).__name__}, expected an object")
    if "detail-type" not in body:
        return Wake(_model(body.get("model")), str(body.get("why") or "again"))
    if body.get("account") != account:
        raise RefusedMessageError(f"account: found {body.get('account')!r}, expected {account}")
    kind = (body.get("source"), body["detail-type"])
    if kind == ("aws.events", "Scheduled Event"):
        return Sweep()
    if kind == ("aws.states", "Step Functions Execution Status Change"):
        return _ended(body.get("detail"), prefix)
    raise RefusedMessageError(f"found {body['detail-type']!r} of {body.get('source')!r}, expected a wake")


def _ended(detail: object, prefix: str) -> Wake:
    """https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html ."""
    found = detail if isinstance(detail, Mapping) else {}
    machine = str(found.get("stateMachineArn", "")).rpartition(":")[2]
    for ending in (_RETRAIN, _RELEASE):
        if machine.startswith(f"{prefix}-") and machine.endswith(ending):
            model = _model(machine[len(prefix) + 1 : -len(ending)])
            run = str(found.get("name") or "") if ending == _RETRAIN else ""
            return Wake(model, ending[1:], run or None)
    raise RefusedMessageError(f"stateMachineArn: found {machine!r}, expected a machine of {prefix}")


def _model(name: object) -> str:
    if isinstance(name, str) and _MODEL_NAME.fullmatch(name):
        return name
    raise RefusedMessageError(f"model: found {str(name)[:60]!r}, expected the name of a model")
