"""How sure a decision must be that is not the first one made on its rows.

Of equal models, each decision lets ``alpha`` through by chance. Decisions on the same rows share what the
gate's confidence leaves, ``1 - confidence``, so that all of them together, however many, let no more through:
the k-th gets ``6 / (pi² k²)`` of it, and the sum over all k is 1.
"""

from __future__ import annotations

import math

from training.gate.student import quantile, tail


def spent(confidence: float, use: float) -> float:
    """The chance that one decision may leave.

    Args:
        confidence: Of the gate, such as 0.95.
        use: Which decision on these rows it is: 1 for fresh rows, and not whole when earlier ones were made
            on a part of them.
    """
    return (1 - confidence) * 6 / (math.pi * max(use, 1.0)) ** 2


def needed(standard_error: float, alpha: float, blocks: float) -> float:
    """How far an estimate must be above a limit for chance to explain that with ``alpha`` only.

    Args:
        standard_error: Of the estimate, itself estimated from independent blocks.
        alpha: The chance.
        blocks: How many blocks there are.
    """
    return quantile(1 - alpha, max(blocks - 1, 1.0)) * standard_error


def chance(distance: float, standard_error: float, blocks: float) -> float:
    """How often chance alone takes an estimate so far above its limit, or farther.

    Args:
        distance: From the limit to the estimate.
        standard_error: Of the estimate.
        blocks: How many independent blocks it comes from.
    """
    if standard_error <= 0:
        return 0.0 if distance > 0 else 1.0
    return tail(distance / standard_error, max(blocks - 1, 1.0))
