"""Tells whether the requests really went where the weights say, valid however often one looks.

An experiment whose arms get other shares than drawn (a retry that goes to one of them only, answers that are
lost) compares two crowds and not two models. The test is a mixture of bets on other shares; the capital is
that of a Beta prior around the weight: M. Lindon and A. Malek, "Anytime-valid inference for multinomial count
data", NeurIPS 2022, https://arxiv.org/abs/2011.03567.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

_PRIOR_REQUESTS = 100.0  # shares a few percent beside the weight are what is looked for first


def share_p_value(periods: Iterable[tuple[int, int, float]]) -> float:
    """How likely such shares ever are when every request is drawn by the weights; small means they are not.

    Args:
        periods: For each span of time with one weight: requests to the treatment, to the control, the weight.
    """
    log_capital = 0.0
    for treated, others, weight in periods:
        before = (_PRIOR_REQUESTS * weight, _PRIOR_REQUESTS * (1 - weight))
        log_capital += _log_beta(before[0] + treated, before[1] + others) - _log_beta(*before)
        log_capital -= treated * math.log(weight) + others * math.log1p(-weight)
    return math.exp(-max(0.0, log_capital))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
