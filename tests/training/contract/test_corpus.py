"""Every broken file ends in the verdict it must, with its reason; every odd one is accepted as it is."""

import pytest

from tests.training.contract.corpus import corpus
from tests.training.examples import declare
from training.contract.check import check_file


@pytest.mark.parametrize("name", corpus())
def test_a_file_ends_as_it_must(tmp_path, name):
    file = corpus()[name]
    spec = declare(contract=dict(file.contract))
    path, good, bad = tmp_path / "data", tmp_path / "good.parquet", tmp_path / "bad.csv"
    path.write_bytes(file.content)
    report = check_file(path, spec, name="data.csv", accept_to=good, reject_to=bad)
    assert file.words in report.reason
    if file.rows:
        assert report.ok, report.reason
        assert (report.rows, report.dropped) == (file.rows, file.dropped)
    else:
        assert not report.ok
        assert not file.rule or file.rule in [f.rule for f in report.findings if f.fatal], report.reason
    left = {"data"} | ({"good.parquet"} if report.ok else set()) | ({"bad.csv"} if file.dropped else set())
    assert {p.name for p in tmp_path.iterdir()} == left  # nothing of DuckDB is left behind
    assert len(report.reason) < 3100
    assert report.reason.isprintable()
