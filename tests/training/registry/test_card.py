"""The model card says what a model is for, how good it is, where it is weaker, and where it comes from."""

import re
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.gate.examples import part
from tests.training.report.examples import HOSTILE, decision, documents, evaluation, spec
from training.registry import card
from training.report.markdown import code, plain

METADATA = {
    "approver": "jo@example.com",
    "approved_at": "2026-11-21",
    "approval_comment": "none",
    "release": "live",
}


def _card(task="binary", metadata=METADATA, **options):
    return card.render(metadata, *documents(task, **options))


def _titles(text):
    return re.findall(r"^## (.*)$", text, re.MULTILINE)


def test_it_has_the_sections_of_a_model_card():
    text = _card()
    assert text.startswith("# toy 1.2.3\n\nIs it late?\n")
    assert _titles(text) == [
        "The model",
        "What it is for",
        "What it takes",
        "How good it is",
        "Where it is weaker",
        "What it looks at",
        "Data",
        "Why it was promoted",
        "Where it comes from",
        "What to be careful about",
    ]


def test_it_knows_who_approved_the_version_and_whether_it_serves():
    lines = _card().splitlines()
    assert "- Approval: approved by jo@example.com" in lines
    assert "- Approved at: 2026-11-21" in lines
    assert "- Release: serves" in lines
    assert not [line for line in lines if line.startswith("- Comment")]
    waiting = card.render({"approver": "none"}, *documents())
    assert "- Approval: waits for a person's approval" in waiting


def test_a_version_that_was_approved_against_the_gate_says_so():
    assert "- Against the gate: yes" in _card(metadata={**METADATA, "overridden": "gate"})
    assert "Against the gate" not in _card()


def test_the_numbers_are_those_of_the_evaluation():
    lines = _card().splitlines()
    assert "| roc\\_auc (more is better) | 0.7562 | 0.7276 | +0.0286 |" in lines
    assert "| log\\_loss (less is better) | 0.4711 | 0.4698 | \u22120.0013 |" in lines
    assert "| kind: a | 9,111 | 0.6877 | 0.7000 | +0.0123 | ✓ small loss |" in lines
    assert "| `size` | +0.0585 |" in lines
    assert "- Fitted on: 63,280 rows" in lines
    assert "- Judged on: 26,720 newer rows" in lines


def test_every_input_is_listed_with_what_it_takes():
    lines = _card().splitlines()
    assert "| `kind` | category | one of a, b, c |" in lines
    assert "| `size` | number | a number from -100 to 100 or nothing |" in lines
    assert "| `heavy` | boolean | true or false |" in lines


def test_it_says_how_to_train_the_same_model_again():
    text = _card()
    assert "`upkeep reproduce 1.2.3 --model toy`" in text
    for found in ("ab" * 32, "cd" * 32, "12" * 32, "s3://upkeep-test-artifacts/decisions/toy/r1.html"):
        assert f"`{found}`" in text
    assert f"`{'2' * 64}`, changed since the champion" in text


def test_what_is_known_to_be_weak_is_among_the_cautions():
    found, declared = evaluation(calibration=None), spec()
    found["slices"] = [part(0.3, 0.01, feature="kind", value="b")]
    cautions = card.render({}, decision(found, declared), found, declared).partition("careful about")[2]
    assert "- It is worse than the one before where kind b." in cautions
    assert "- Whether its scores are probabilities was not measured." in cautions


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_first_model_has_a_card_without_a_comparison(task):
    text = _card(task, champion=False)
    assert "the one before" not in text
    assert "- It was compared with no other model." in text


def test_without_an_evaluation_the_decision_stands_alone():
    decided, _, declared = documents()
    text = card.render(METADATA, decided, None, declared)
    assert "roc\\_auc 0.7562; the evaluation cannot be read." in text
    assert "The evaluation cannot be read any more" in text


@pytest.mark.parametrize("text", HOSTILE)
def test_names_of_any_kind_add_no_heading_no_cell_and_no_link(text):
    decided, found, declared = deepcopy(documents())
    sound = card.render(METADATA, decided, found, declared)
    found["slices"][0] |= {"feature": text, "value": text}
    found["importance"][0]["feature"] = text
    found["note"] = text
    decided["checks"][0] |= {"name": text, "words": text}
    for name in ("reason", "image", "run_id", "decision_uri"):
        decided[name] = text
    written = card.render({**METADATA, "approval_comment": text}, decided, found, declared)
    assert _titles(written) == _titles(sound)
    bars = r"(?<!\\)\|"
    for before, after in zip(
        [line for line in sound.splitlines() if line.startswith("|")],
        [line for line in written.splitlines() if line.startswith("|")],
        strict=True,
    ):
        assert len(re.findall(bars, after)) == len(re.findall(bars, before))
    outside = re.sub(r"(`+) ?.*? ?\1", "", re.sub(r"\\.", "", written))
    assert not re.search(r"\]\(|<\w|https?:|www\.", outside)


@given(st.text(max_size=60))
def test_a_text_is_one_line_in_which_nothing_has_a_meaning(text):
    written = plain(text)
    assert "\n" not in written
    assert not re.search(r"(?<!\\)[`*_<>|\[\]#]", re.sub(r"\\\\", "", written))
    assert re.sub(r"\\(.)", r"\1", written) == " ".join(text.split()) or not text.isprintable()


@given(st.text(alphabet="a` |", max_size=20))
def test_machine_texts_stay_within_their_fence(text):
    written = code(text)
    fence = re.match(r"`*", written)[0]
    if fence:
        assert written.endswith(fence)
        inner = written[len(fence) : -len(fence)]
        assert fence not in re.findall("`+", inner)
        assert "|" not in written
