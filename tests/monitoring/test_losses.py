"""What an answer lost against the truth."""

import pytest

from monitoring.losses import FUNCTIONS, OF_TASK, AnswerError, read_answer, read_label


def test_the_brier_loss_is_the_squared_distance():
    assert FUNCTIONS["brier"]({"score": 0.8, "label": 1}, 1, 1.0) == pytest.approx(0.04)
    assert FUNCTIONS["brier"]({"score": 0.8, "label": 1}, 0, 1.0) == pytest.approx(0.64)


def test_a_wrong_label_loses_all():
    assert FUNCTIONS["zero_one"]({"score": 0.8, "label": 1}, 1, 1.0) == 0.0
    assert FUNCTIONS["zero_one"]({"score": 0.8, "label": "cat"}, "dog", 1.0) == 1.0


def test_a_distance_counts_as_a_share_of_the_scale_and_never_more():
    assert FUNCTIONS["absolute"]({"score": 12.0}, 10.0, 8.0) == pytest.approx(0.25)
    assert FUNCTIONS["absolute"]({"score": 99.0}, 10.0, 8.0) == 1.0


def test_every_task_has_a_loss_of_its_own():
    assert {task: losses[0] for task, losses in OF_TASK.items()} == {
        "binary": "brier",
        "multiclass": "zero_one",
        "regression": "absolute",
    }


@pytest.mark.parametrize(
    ("text", "task", "expected"),
    [
        ("1", "binary", 1),
        (" 0.0", "binary", 0),
        ("true", "binary", 1),
        ("cat", "multiclass", "cat"),
        ("2.5", "regression", 2.5),
    ],
)
def test_labels_are_read_as_the_task_has_them(text, task, expected):
    assert read_label(text, task) == expected


@pytest.mark.parametrize(
    ("text", "task"),
    [("late", "binary"), ("2", "binary"), ("", "multiclass"), ("nan", "regression"), ("x", "regression")],
)
def test_what_can_be_no_label_is_refused(text, task):
    with pytest.raises(AnswerError, match="label: found"):
        read_label(text, task)


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        ('{"predictions": [{"score": 0.25, "label": 0}], "model": "flights"}', "application/json"),
        ('{"score": 0.25, "label": 0}\n', "application/jsonlines"),
        ("0.25,0\n", "text/csv; charset=utf-8"),
    ],
)
def test_every_form_of_answer_is_read(data, content_type):
    assert [dict(row) for row in read_answer(data, content_type, "binary")] == [{"score": 0.25, "label": 0}]


def test_a_regression_answers_with_a_score_alone():
    assert read_answer("3.5\n4.5\n", "text/csv", "regression")[1]["score"] == 4.5


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        ("<html>", "text/html"),
        ('{"error": "x"}', "application/json"),
        ("abc", "text/csv"),
        ("[1, 2]", "application/json"),
    ],
)
def test_an_answer_of_another_kind_is_refused(data, content_type):
    with pytest.raises(AnswerError, match="answer: found"):
        read_answer(data, content_type, "binary")
