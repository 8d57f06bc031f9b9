"""An answer's body is the text json.dumps and csv.writer give, whatever the scores are."""

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.codecs import ANSWERS, CSV, JSON, JSONLINES
from inference.replies import PLAIN, Replies
from training.sample import answers

META = {"model": 'the "toy"', "model_version": "run-1"}
scores = st.floats(0, 1) | st.floats() | st.sampled_from([0.5, np.nextafter(0.5, 0), 1e-5, 5e-324, 0.0, 1.0])


class Model:
    """What an answer's body depends on."""

    def __init__(self, task, classes=()):
        self.spec, self.classes = type("Spec", (), {"task": task}), list(classes)


def _plainly(content_type, model, values):
    predictions = answers(model, values)
    if content_type == JSON:
        return json.dumps({"predictions": predictions, **META})
    if content_type == JSONLINES:
        return "".join(json.dumps(p) + "\n" for p in predictions)
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(p.values() for p in predictions)
    return out.getvalue()


@pytest.mark.parametrize("content_type", ANSWERS)
@pytest.mark.parametrize("task", ["binary", "regression"])
@given(values=st.lists(scores, min_size=1, max_size=5))
def test_scores_are_written_as_the_library_writes_them(task, content_type, values):
    model, values = Model(task), np.array(values)
    assert Replies(model, META).text(content_type, values) == _plainly(content_type, model, values)


@pytest.mark.parametrize("content_type", ANSWERS)
@given(
    values=st.lists(st.lists(scores, min_size=3, max_size=3), min_size=1, max_size=4),
    classes=st.lists(st.text(max_size=4), min_size=3, max_size=3),
)
def test_classes_of_any_name_are_written_as_the_library_writes_them(content_type, values, classes):
    model, values = Model("multiclass", classes), np.array(values)
    with np.errstate(all="ignore"):
        assert Replies(model, META).text(content_type, values) == _plainly(content_type, model, values)


def test_there_is_a_way_to_write_every_type_that_can_be_asked_for():
    assert set(PLAIN) == set(ANSWERS) == {JSON, CSV, JSONLINES}
