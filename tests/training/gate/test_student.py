"""Student's t, against scipy's."""

import numpy as np
import pytest

from training.gate.student import quantile, tail

stats = pytest.importorskip("scipy.stats")
FREEDOMS = (1, 2.5, 29, 100.5, 1e4, 1e6)


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_the_tail(freedom):
    for t in np.linspace(-8, 8, 33):
        assert tail(t, freedom) == pytest.approx(stats.t.sf(t, freedom), rel=1e-7)


@pytest.mark.parametrize("freedom", FREEDOMS)
@pytest.mark.parametrize("share", [0.6, 0.95, 0.9999, 1 - 1e-9])
def test_the_quantile(freedom, share):
    assert quantile(share, freedom) == pytest.approx(stats.t.ppf(share, freedom), rel=1e-6)
