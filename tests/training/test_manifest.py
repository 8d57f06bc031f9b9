"""The same files are the same data set, whatever their order."""

import json

from hypothesis import given
from hypothesis import strategies as st

from training.manifest import Manifest

keys = st.lists(st.text(min_size=1, max_size=8).map("accepted/toy/{}".format), min_size=1, max_size=6)


@given(keys, st.randoms())
def test_order_and_repetition_do_not_matter(keys, source):
    shuffled = [*keys, keys[0]]
    source.shuffle(shuffled)
    assert Manifest.of("b", shuffled).run_id == Manifest.of("b", keys).run_id


@given(keys, keys)
def test_other_files_are_another_run(one, other):
    assert (Manifest.of("b", one).run_id == Manifest.of("b", other).run_id) == (set(one) == set(other))


def test_the_form_is_sagemakers():
    manifest = Manifest.of("bucket", ["accepted/toy/b.csv", "accepted/toy/a.csv"])
    assert json.loads(manifest.body) == [
        {"prefix": "s3://bucket/"},
        "accepted/toy/a.csv",
        "accepted/toy/b.csv",
    ]
    assert len(manifest.run_id) == 20
    assert manifest.key("toy") == f"manifests/toy/{manifest.run_id}.json"
