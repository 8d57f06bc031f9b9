"""Lambda: looks at models that something happened to, and starts at most one training of each at a time.

Wakes say only which model to look at. What is true is read from the ledger and from AWS, so a wake that
comes twice, late or never changes nothing: the schedule's sweep looks at every model anyhow. One model is
looked at by one function at a time; who comes meanwhile leaves word, and the holder of the lease looks once
more.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from aws_lambda_powertools import Logger

from models.spec import Triggers
from training import clock
from training.aws import client
from training.dispatch import deliveries
from training.dispatch.messages import RefusedMessageError, Sweep, Wake, read
from training.dispatch.model import Model, announce_refused, wake
from training.dispatch.settings import Settings
from training.dispatch.sweep import sweep
from training.ledger.plans import LeaseLostError
from training.ledger.records import NO_MODEL
from training.ledger.table import Ledger
from training.outputs import read_spec

_log = Logger(service="dispatch")
# Looks at one model in one call when others keep leaving word; then a message of our own goes on.
MAX_ROUNDS = 5


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Handle a batch of queue messages.

    Returns:
        The messages to deliver again:
        https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    settings = Settings.load(os.environ, context.invoked_function_arn)
    dispatch = Dispatch(settings, context)
    failed: list[str] = []
    wakes: dict[str, list[tuple[str, Wake]]] = {}
    sweeps: list[str] = []
    for record in event["Records"]:
        message = str(record["messageId"])
        try:
            found = read(record, prefix=settings.prefix, account=settings.place.account)
        except RefusedMessageError as error:
            _log.error("refused a message", extra={"message_id": message, "reason": str(error)})
            failed.append(message)
            continue
        if isinstance(found, Sweep):
            sweeps.append(message)
        else:
            wakes.setdefault(found.model, []).append((message, found))
    for model, messages in wakes.items():
        ended = [one.ended for _, one in messages if one.ended]
        if not dispatch.try_look(model, ended):
            failed.extend(message for message, _ in messages)
    if sweeps and not dispatch.sweep(done=wakes):
        failed.extend(sweeps)
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}


class Dispatch:
    """Looks at the models of one stack."""

    def __init__(self, settings: Settings, context: Any) -> None:
        self._settings = settings
        self._context = context
        self._ledger = Ledger(client("dynamodb"), settings.ledger_table)

    def try_look(self, model: str, ended: Sequence[str] = ()) -> bool:
        """Look at one model; False when it failed: other models go on."""
        try:
            self.look(model, ended)
        except Exception:  # noqa: BLE001 - whatever it is, it concerns this model alone
            _log.exception("a model could not be looked at", extra={"model": model})
            return False
        return True

    def look(self, model: str, ended: Sequence[str] = ()) -> None:
        """Look at one model, if nobody else does, until nobody has left word."""
        owner = str(uuid.uuid4())
        if self._ledger.take_lease(model, owner, self._seconds_left()) is None:
            _log.info("somebody else looks at it, and will once more", extra={"model": model})
            return
        try:
            for _ in range(MAX_ROUNDS):
                self._look_once(model, owner, ended)
                if self._ledger.release_lease(model, owner):
                    return
        except LeaseLostError as error:
            _log.warning(str(error), extra={"model": model})
            return
        except Exception:
            # Nobody has to wait until the lease runs out; the message comes again.
            self._give_back(model, owner)
            raise
        wake(self._settings, model, 1)
        self._give_back(model, owner)

    def sweep(self, done: Mapping[str, object]) -> bool:
        """Look at every model that is not ``done``, and for overlooked files; False when something failed."""
        steps = [self.try_look(model) for model in [*self._models(), NO_MODEL] if model not in done]
        try:
            sweep(self._settings, self._ledger)
        except Exception:  # noqa: BLE001 - the models were looked at; the sweep is tried again
            _log.exception("the sweep for overlooked files failed")
            return False
        return all(steps)

    def _look_once(self, model: str, owner: str, ended: Sequence[str]) -> None:
        if model == NO_MODEL:
            self._look_at_strays()
            return
        bucket, owner_account = self._settings.artifacts_bucket, self._settings.place.account
        spec = read_spec(client("s3"), model, bucket=bucket, owner=owner_account)
        if spec is None:
            _log.warning("no such model in this stack (any more)", extra={"model": model})
            return
        Model(self._settings, self._ledger, spec, owner).look(ended)

    def _give_back(self, model: str, owner: str) -> None:
        """End the lease; words left are heard with the message that is on its way."""
        for _ in range(MAX_ROUNDS):
            if self._ledger.release_lease(model, owner):
                return

    def _look_at_strays(self) -> None:
        """Files that are for no model have no spec; people are told of them all the same."""
        entries = self._ledger.untold_entries(NO_MODEL)
        last = max((max(entry.at, entry.last_at) for entry in entries), default=0)
        found = deliveries.to_announce(entries, (), Triggers(), last, clock.now())
        for folder, group in found.items():
            announce_refused(self._settings, self._ledger, NO_MODEL, folder, group)

    def _models(self) -> list[str]:
        pages = (
            client("s3")
            .get_paginator("list_objects_v2")
            .paginate(
                Bucket=self._settings.artifacts_bucket,
                Prefix="specs/",
                ExpectedBucketOwner=self._settings.place.account,
            )
        )
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return [key[len("specs/") : -len(".json")] for key in keys if key.endswith(".json")]

    def _seconds_left(self) -> float:
        """Until this call is ended; at least one, or a lease would be none."""
        left: float = self._context.get_remaining_time_in_millis() / 1000
        return max(1.0, left)
