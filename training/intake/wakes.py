"""Tells those who decide about trainings that something came."""

from __future__ import annotations

import json
from threading import Lock
from typing import Any

from models.spec import ModelSpec
from training import clock
from training.ledger.table import Ledger

WHY = "arrival"
# Of many small files each would write the same item; the quiet period is not counted more finely.
_NOTE_SECONDS = 1.0


class Wakes:
    """Notes arrivals, and wakes the dispatcher of a model once per batch; safe for several threads."""

    def __init__(self, ledger: Ledger, sqs: Any, queue_url: str) -> None:
        self._ledger = ledger
        self._sqs = sqs
        self._queue_url = queue_url
        self._lock = Lock()
        self._noted: dict[str, float] = {}
        self._folders: set[tuple[str, str]] = set()

    def note(self, spec: ModelSpec, delivery: str | None) -> None:
        """Note an arrival; to be called before its record is written.

        So nobody sees the record and takes the delivery for finished.

        Args:
            spec: The model's.
            delivery: The file's folder, None for a manifest itself.
        """
        model = spec.name
        with self._lock:
            now = clock.now()
            if now - self._noted.get(model, -_NOTE_SECONDS) >= _NOTE_SECONDS:
                self._ledger.note_arrival(model, now)
                self._noted[model] = now
            if spec.triggers.delivery == "manifest" and delivery is not None:
                if (model, delivery) not in self._folders:
                    self._ledger.note_delivery(model, delivery)
                self._folders.add((model, delivery))

    def send(self, spec: ModelSpec) -> None:
        """Wake the dispatcher once nothing may have come for the quiet period."""
        self._sqs.send_message(
            QueueUrl=self._queue_url,
            MessageBody=json.dumps({"model": spec.name, "why": WHY}),
            DelaySeconds=spec.triggers.quiet_seconds,
        )
