"""Which fleet takes a request: variants by weight; in a deployment, old and new fleet by share."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.sagemaker.fleet import Fleet


@dataclass
class Variant:
    """A variant as it runs."""

    config: dict[str, Any]
    fleet: Fleet
    weight: float
    desired_count: int
    status: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The variant's name."""
        return self.fleet.variant_name


def choose(weights: Sequence[float], point: float) -> int:
    """The index that `point` (0 <= point < 1) falls on when the weights share the line from 0 to 1.

    An index of weight 0 is never chosen, unless all are 0: then all are equal.
    """
    total = sum(weights)
    if total <= 0:
        return min(int(point * len(weights)), len(weights) - 1)
    target, reached, last = point * total, 0.0, 0
    for index, weight in enumerate(weights):
        if weight <= 0:
            continue
        last = index
        reached += weight
        if target < reached:
            return index
    return last


class Router:
    """The fleets of one endpoint. Changes take effect between two requests."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self._lock = threading.Lock()
        self._random = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._current: list[Variant] = []
        self._pending: list[Variant] = []
        self._share = 0.0

    def current(self) -> list[Variant]:
        """The variants in service."""
        with self._lock:
            return list(self._current)

    def pending(self) -> list[Variant]:
        """The variants of a deployment under way."""
        with self._lock:
            return list(self._pending)

    def set_pending(self, variants: list[Variant], share: float) -> None:
        """Give new variants a share (0 to 1) of the traffic, next to the current ones."""
        with self._lock:
            self._pending, self._share = list(variants), share

    def promote(self, variants: list[Variant]) -> list[Variant]:
        """Make new variants the current ones; returns the old ones, which get no request from now on."""
        with self._lock:
            old, self._current = self._current, list(variants)
            self._pending, self._share = [], 0.0
            return old

    def pick(self, target: str | None = None) -> Variant | None:
        """The variant for the next request; None when there is none of the name `target`, or none at all."""
        with self._lock:
            new = bool(self._pending) and self._random.random() < self._share
            variants = self._pending if new else self._current
            if target is not None:
                variants = [variant for variant in variants if variant.name == target]
            if not variants:
                return None
            return variants[choose([variant.weight for variant in variants], self._random.random())]
