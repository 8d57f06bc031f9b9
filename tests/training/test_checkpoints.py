"""A fit that was interrupted ends as one that was not."""

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)

from training import checkpoints, pickles


class Interruption(BaseException):
    """What a container that is taken away does not live to handle."""


def _rows(seed: int = 0, rows: int = 600) -> tuple[np.ndarray, np.ndarray]:
    source = np.random.default_rng(seed)
    matrix = source.normal(size=(rows, 4))
    matrix[source.random(matrix.shape) < 0.05] = np.nan
    return matrix, (np.nan_to_num(matrix[:, 0]) + source.normal(size=rows) > 0).astype(float)


def _interrupt_after(saves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    save, count = checkpoints._save, 0

    def counted(fitted: Any, path: Path) -> None:
        nonlocal count
        save(fitted, path)
        count += 1
        if count == saves:
            raise Interruption

    monkeypatch.setattr(checkpoints, "_save", counted)


@pytest.mark.parametrize("saves", [1, 2, 3])
@pytest.mark.parametrize("cls", [HistGradientBoostingClassifier, HistGradientBoostingRegressor])
def test_an_interrupted_fit_goes_on_and_grows_the_same_trees(cls, saves, tmp_path, monkeypatch):
    matrix, labels = _rows()
    one_go = cls(random_state=0).fit(matrix, labels)
    with monkeypatch.context() as patch:
        _interrupt_after(saves, patch)
        with pytest.raises(Interruption):
            checkpoints.fit(cls(random_state=0), matrix, labels, tmp_path)
    fits = []
    fit = cls.fit
    monkeypatch.setattr(cls, "fit", lambda self, *rows: fits.append(self.max_iter) or fit(self, *rows))
    resumed = checkpoints.fit(cls(random_state=0), matrix, labels, tmp_path)
    assert fits == list(range((saves + 1) * checkpoints.STAGE_ITERATIONS, 101, checkpoints.STAGE_ITERATIONS))
    assert resumed.get_params() == one_go.get_params()
    method = "predict_proba" if cls is HistGradientBoostingClassifier else "predict"
    assert np.array_equal(getattr(resumed, method)(matrix), getattr(one_go, method)(matrix))


@pytest.mark.parametrize("cls", [HistGradientBoostingClassifier, HistGradientBoostingRegressor])
def test_an_interrupted_fit_is_stored_as_the_very_bytes_of_one_in_one_go(cls, tmp_path, monkeypatch):
    matrix, labels = _rows()
    with monkeypatch.context() as patch:
        _interrupt_after(2, patch)
        with pytest.raises(Interruption):
            checkpoints.fit(cls(random_state=0), matrix, labels, tmp_path)
    fits = {
        "one go": cls(random_state=0).fit(matrix, labels),
        "resumed": checkpoints.fit(cls(random_state=0), matrix, labels, tmp_path),
    }
    for name, fitted in fits.items():
        pickles.dump(fitted, tmp_path / name)
    stored = (tmp_path / "one go").read_bytes()
    assert stored == (tmp_path / "resumed").read_bytes()
    # Reading it back and storing it again changes nothing either.
    pickles.dump(joblib.load(tmp_path / "one go"), tmp_path / "again")
    assert stored == (tmp_path / "again").read_bytes()


def test_a_fit_that_stops_by_itself_is_not_fitted_on(tmp_path):
    matrix, labels = _rows(rows=300)
    rules = {"random_state": 0, "early_stopping": True, "n_iter_no_change": 3, "validation_fraction": 0.3}
    one_go = HistGradientBoostingClassifier(**rules).fit(matrix, labels)
    staged = checkpoints.fit(HistGradientBoostingClassifier(**rules), matrix, labels, tmp_path)
    assert one_go.n_iter_ < 100
    assert (staged.n_iter_, staged.max_iter) == (one_go.n_iter_, 100)
    assert np.array_equal(staged.predict_proba(matrix), one_go.predict_proba(matrix))


def test_a_checkpoint_of_other_rows_or_settings_is_not_used(tmp_path):
    matrix, labels = _rows()
    checkpoints.fit(HistGradientBoostingClassifier(random_state=0), matrix, labels, tmp_path)
    others = [(_rows(seed=1), 0.1), (_rows(), 0.2)]
    for (rows, classes), rate in others:
        estimator = HistGradientBoostingClassifier(random_state=0, learning_rate=rate)
        staged = checkpoints.fit(estimator, rows, classes, tmp_path)
        expected = HistGradientBoostingClassifier(random_state=0, learning_rate=rate).fit(rows, classes)
        assert np.array_equal(staged.predict_proba(rows), expected.predict_proba(rows))


def test_a_torn_checkpoint_is_left_aside(tmp_path, capsys):
    matrix, labels = _rows()
    checkpoints.fit(HistGradientBoostingClassifier(random_state=0), matrix, labels, tmp_path)
    (path,) = tmp_path.glob("*.joblib")
    path.write_bytes(path.read_bytes()[:1000])
    staged = checkpoints.fit(HistGradientBoostingClassifier(random_state=0), matrix, labels, tmp_path)
    assert staged.n_iter_ == 100
    assert f"{path.name} cannot be read and is left aside" in capsys.readouterr().out
    assert joblib.load(path).n_iter_ == 75


def test_other_estimators_and_other_jobs_are_fitted_in_one_go(tmp_path):
    matrix, labels = _rows()
    rows = np.nan_to_num(matrix)
    checkpoints.fit(RandomForestRegressor(n_estimators=3, random_state=0), rows, labels, tmp_path)
    assert list(tmp_path.iterdir()) == []
    fitted = checkpoints.fit(HistGradientBoostingRegressor(random_state=0), matrix, labels, None)
    assert fitted.warm_start is False
