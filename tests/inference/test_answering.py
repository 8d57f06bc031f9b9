"""A request is answered with the model's predictions and its version, or with a reason."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.answering import CUSTOM_ATTRIBUTES, Answerer
from tests.training.examples import lines, text

ROW = {"kind": "a", "place": "x", "size": 50, "heavy": True}


def _ask(answerer, rows=(ROW,), accept=None):
    return answerer.answer(json.dumps({"instances": list(rows)}), "application/json", accept)


def test_an_answer_carries_scores_labels_and_the_models_version(answerer, model):
    answer = _ask(answerer, [ROW, {"kind": "b", "heavy": False}])
    body = json.loads(answer.body)
    expected = model.estimator.predict_proba(
        model.encoder.encode_values([["a", "x", 50, True], ["b", None, None, False]])
    )
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert [p["score"] for p in body["predictions"]] == expected[:, 1].tolist()
    assert [p["label"] for p in body["predictions"]] == [int(p >= 0.5) for p in expected[:, 1]]
    assert (body["model"], body["model_version"]) == ("toy", "run-binary")
    assert answer.headers == {CUSTOM_ATTRIBUTES: "model=toy;run=run-binary"}


def test_one_row_is_answered_as_it_is_among_many(answerer):
    rows = [
        dict(zip(("kind", "place", "size", "heavy"), (k, None, s, True), strict=True))
        for k in "abc"
        for s in range(-90, 90, 7)
    ]
    together = json.loads(_ask(answerer, rows).body)["predictions"]
    assert [json.loads(_ask(answerer, [row]).body)["predictions"][0] for row in rows] == together


def test_csv_and_json_lines_have_one_line_per_row(answerer):
    rows = [ROW] * 3
    predictions = json.loads(_ask(answerer, rows).body)["predictions"]
    csv_answer, lines_answer = _ask(answerer, rows, "text/csv"), _ask(answerer, rows, "application/jsonlines")
    assert csv_answer.body == "".join(f"{p['score']},{p['label']}\n" for p in predictions)
    assert [json.loads(line) for line in lines_answer.body.splitlines()] == predictions
    assert csv_answer.headers == lines_answer.headers != {}


def test_a_training_file_is_scored_as_it_is(answerer):
    answer = answerer.answer(text(lines(40)), "text/csv", "text/csv")
    assert (answer.status, answer.body.count("\n")) == (200, 40)


def test_classes_are_answered_by_name_and_numbers_as_scores(models):
    predictions = json.loads(_ask(Answerer(models["multiclass"])).body)["predictions"]
    assert predictions[0]["label"] in ("low", "middle", "high")
    assert 1 / 3 <= predictions[0]["score"] <= 1
    predictions = json.loads(_ask(Answerer(models["regression"])).body)["predictions"]
    assert set(predictions[0]) == {"score"}
    assert np.isfinite(predictions[0]["score"])


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status"),
    [
        ("[]", "application/json", None, 400),
        ("[]", "application/json", "image/png", 406),
        ("[]", "application/x-npy", None, 415),
    ],
)
def test_a_refusal_is_json_with_its_status_and_the_models_version(
    answerer, body, content_type, accept, status
):
    answer = answerer.answer(body, content_type, accept)
    assert (answer.status, json.loads(answer.body)["status"]) == (status, status)
    assert answer.content_type == "application/json"
    assert answer.headers == {CUSTOM_ATTRIBUTES: "model=toy;run=run-binary"}


def test_a_model_that_fails_is_a_500_whose_reason_is_only_in_the_log(model, caplog):
    class Broken:
        spec, encoder, estimator, run_id = model.spec, model.encoder, None, "r"

        def scores(self, _matrix):
            raise ZeroDivisionError("secret")

    answer = _ask(Answerer(Broken()))
    assert answer.status == 500
    assert "Traceback" not in answer.body
    assert "secret" not in answer.body
    assert "secret" in caplog.text


@pytest.mark.parametrize(("version", "told"), [("1.2.3", ";version=1.2.3"), ("", ""), ("1\r\nX: y", "")])
def test_the_header_tells_the_registered_version_once_there_is_one(model, monkeypatch, version, told):
    monkeypatch.setenv("UPKEEP_MODEL_VERSION", version)
    answer = _ask(Answerer(model))
    assert answer.headers == {CUSTOM_ATTRIBUTES: f"model=toy;run=run-binary{told}"}
    assert json.loads(answer.body)["model_version"] == "run-binary"


hostile = st.one_of(
    st.binary(max_size=100),
    st.text(max_size=100),
    st.lists(
        st.fixed_dictionaries(
            {
                "kind": st.sampled_from([*"abcz", "", None, 1]),
                "heavy": st.sampled_from([True, 0, 1, 2, None]),
            },
            optional={"size": st.floats() | st.integers() | st.none(), "place": st.text(max_size=3)},
        ),
        max_size=9,
    ).map(json.dumps),
)


@given(hostile, st.sampled_from(["application/json", "text/csv", "application/jsonlines"]))
def test_any_body_is_answered_as_scikit_learn_itself_would_answer_it(models, body, content_type):
    for task, model in models.items():
        if task not in _BOTH:
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr("inference.quick.scorer", lambda model: model.scores)
                plainly = Answerer(model)
            _BOTH[task] = Answerer(model), plainly
        quickly, plainly = (answerer.answer(body, content_type, None) for answerer in _BOTH[task])
        assert quickly == plainly
        assert quickly.status in (200, 400, 413, 415)


_BOTH = {}
