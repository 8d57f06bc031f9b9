"""The report is whole, readable offline, safe with any name, and shows the numbers of the evaluation."""

import re
import subprocess
import sys
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.report.examples import CURVES, HOSTILE, Page, decision, documents, evaluation, spec
from training.report import page

MOST_BYTES = 300_000
TASKS = ("binary", "multiclass", "regression")
ALLOWED_TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "nav",
        "main",
        "section",
        "footer",
        "div",
        "p",
    ),
    *(
        "h1",
        "h2",
        "h3",
        "b",
        "small",
        "span",
        "a",
        "code",
        "dl",
        "dt",
        "dd",
        "ul",
        "li",
        "details",
        "summary",
    ),
    *("table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption"),
    *("svg", "desc", "g", "line", "path", "rect", "circle", "text"),
}


def _page(task="binary", **options):
    return Page(page.render(*documents(task, **options)))


def _safe(text):
    """Well formed, of known elements, without anything that runs or is fetched."""
    found = Page(text)
    assert {tag for tag, _ in found.tags} <= ALLOWED_TAGS
    for tag, attributes in found.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "style")], tag
        assert str(attributes.get("href", "#")).startswith("#")
    assert not re.search(r"url\(|@import", text[: text.index("</style>")])
    assert len(text.encode()) < MOST_BYTES
    return found


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("champion", [True, False])
def test_every_kind_of_model_has_a_whole_page_that_needs_no_other_file(task, champion):
    text = page.render(*documents(task, champion=champion))
    _safe(text)
    assert text.startswith('<!doctype html>\n<html lang="en">')
    assert "<script" not in text
    assert "default-src &#x27;none&#x27;" in text


@pytest.mark.parametrize("task", TASKS)
def test_each_task_is_drawn_by_what_was_measured_of_it(task):
    scores = ["Scores of the challenger", "Scores of the champion"]
    titles = {
        "binary": ["ROC curve", "Precision over recall", "Calibration", *scores],
        "multiclass": [],
        "regression": ["Residuals", "Predicted and actual, challenger", "Predicted and actual, champion"],
    }[task]
    drawn = re.findall(r"<svg [^>]*><title>([^<]*)</title><desc>", page.render(*documents(task)))
    assert drawn == [f"Gain in {spec(task).gate.metric}", *titles, "Rows held out on each day"]


def test_the_verdict_and_its_reason_come_before_everything_else():
    decided, found, declared = documents()
    words = Page(page.render(decided, found, declared)).words
    body = words[words.index("toy 1.2.3: ✓ promoted") :]
    assert body.startswith(
        f"toy 1.2.3: ✓ promoted Promoted: {decided['reason']}. waits for a person's approval"
    )
    refused = decided | {"decision": "refuse", "reason": "refused: too slow", "approval": "Rejected"}
    assert (
        "toy 1.2.3: ✕ refused Refused: too slow. rejected by the gate"
        in Page(page.render(refused, found, declared)).words
    )


def test_every_check_of_the_decision_is_in_the_table():
    decided, found, declared = documents()
    decided["checks"][0] |= {"passed": False, "words": "roc_auc is too low"}
    shown = Page(page.render(decided, found, declared))
    for check in decided["checks"]:
        cells = shown.row(check["name"])
        assert cells[1] == ("✓ yes" if check["passed"] else "✕ no")
        assert cells[4] == check["words"]
    assert f"1 of {len(decided['checks'])} checks failed." in shown.words


def test_the_numbers_shown_are_those_of_the_evaluation():
    decided, found, declared = documents()
    shown = Page(page.render(decided, found, declared))
    assert shown.row("roc_auc") == ["roc_auc decides", "0.7562", "0.7276", "+0.0286", "more is better"]
    assert shown.row("log_loss") == ["log_loss", "0.4711", "0.4698", "\u22120.0013", "less is better"]
    assert shown.row("kind: a")[:5] == ["kind: a", "9,111", "0.6877", "0.7000", "+0.0123"]
    assert shown.row("kind: b")[4:] == ["\u22120.0200", "", "✓ gains"]
    assert shown.row("size")[:2] == ["size", "+0.0585"]
    assert ["0", "17,12395.1 %", "8774.9 %"] in shown.rows
    low = f"at least +{decided['gain_low']:.4f}"
    for words in ("26,720 of 90,000", "challenger 0.0171", low, "0.6000 ms", "720 hours, worth 720"):
        assert words in shown.words, words


def test_the_interval_of_the_gain_begins_where_the_gate_is_sure():
    decided, found, declared = documents()
    drawing = re.search(r"<svg [^>]*><title>Gain in roc_auc.*?</svg>", page.render(decided, found, declared))[
        0
    ]
    start, end = map(float, re.search(r'x1="([\d.]+)" y1="46" x2="([\d.]+)" y2="46"', drawing).groups())
    dot = float(re.search(r'<circle cx="([\d.]+)"', drawing)[1])
    zero = float(re.search(r'x1="([\d.]+)"[^>]*class="zeroline"', drawing)[1])
    per_unit = (dot - zero) / decided["gain"]
    assert (start - zero) / per_unit == pytest.approx(decided["gain_low"], abs=1e-4)
    assert end - dot == pytest.approx(dot - start, abs=0.05)


def test_the_roc_curve_is_drawn_point_by_point_and_never_turns_back():
    text = page.render(*documents())
    drawing = re.search(r"<svg [^>]*><title>ROC curve.*?</svg>", text)[0]
    path = re.search(r'<path d="M([^"]*)" class="curve challenger"', drawing)[1]
    points = [tuple(map(float, pair.split(","))) for pair in path.split()]
    assert len(points) == len(CURVES["binary"]["roc"])
    assert points == sorted(points, key=lambda point: (point[0], -point[1]))
    (left, bottom), (right, top) = points[0], points[-1]
    for (x, y), (fpr, tpr) in zip(points, CURVES["binary"]["roc"], strict=True):
        assert (x - left) / (right - left) == pytest.approx(fpr, abs=1e-3)
        assert (bottom - y) / (bottom - top) == pytest.approx(tpr, abs=1e-3)


def test_a_slice_that_loses_too_much_is_marked_and_one_that_may_be_chance_is_not():
    found, declared = evaluation(), spec()
    found["slices"][0] |= {"loss": 0.2, "standard_error": 0.01}
    found["slices"][1] |= {"loss": 0.2, "standard_error": 0.2}
    decided = decision(found, declared)
    shown = Page(page.render(decided, found, declared))
    assert decided["decision"] == "refuse"
    assert shown.row("kind: a")[-1] == "✕ loses"
    assert shown.row("kind: b")[-1] == "no clear difference"


def test_a_first_model_has_metrics_and_no_comparison():
    shown = _page(champion=False)
    assert "There was no champion to compare with: this is the first model." in shown.words
    assert shown.row("roc_auc")[1:] == ["0.7562", "more is better"]
    assert not [cells for cells in shown.rows if "champion" in cells]
    assert "Gain in" not in shown.words


def test_models_that_could_not_be_compared_say_why():
    found = evaluation(
        champion=False, comparable=False, note="the champion cannot be loaded: torn", champion_run_id="r0"
    )
    decided = decision(found, spec())
    assert (
        "not compared with the champion: the champion cannot be loaded: torn"
        in Page(page.render(decided, found, spec())).words
    )


def test_an_evaluation_of_before_there_was_evidence_gives_a_page_with_what_there_is():
    decided, found, declared = documents()
    kept = ("run_id", "metric", "rows", "challenger", "champion", "comparable", "note", "window", "files")
    old = {name: found[name] for name in kept}
    for name in (
        "checks",
        "gate",
        "gain_low",
        "significance",
        "holdout_uses",
        "version",
        "digests",
        "versions",
    ):
        del decided[name]
    shown = _safe(page.render(decided, old, declared))
    assert shown.sections == ["metrics", "data", "provenance"]
    assert "toy r1234567: ✓ promoted" in shown.words


def test_without_an_evaluation_the_decision_stands_alone():
    decided, _, declared = documents()
    shown = _safe(page.render(decided, {}, declared))
    assert shown.sections == ["checks", "data", "provenance"]
    assert "0.7562" in shown.words


def test_links_within_the_page_lead_somewhere():
    shown = _page()
    assert [found["href"] for found in shown.having("a")] == [f"#{name}" for name in shown.sections]


def test_what_changed_since_the_champion_is_told():
    shown = _page()
    assert shown.row("the interface")[2] == "the same"
    assert shown.row("the code")[1:] == ["2" * 64, "changed"]
    assert shown.row("the whole spec")[2] == "not known"


def test_all_digests_and_places_are_in_the_page():
    decided, found, declared = documents()
    words = Page(page.render(decided, found, declared)).words
    for name in (
        *("run_id", "image", "manifest_uri", "manifest_sha256", "model_data_url", "artifact_sha256"),
        *(
            "passport_sha256",
            "model_digest",
            "decision_uri",
            "report_uri",
            "data_version",
            "at",
            "champion_run_id",
        ),
    ):
        assert decided[name] in words, name


def test_names_of_any_kind_are_only_ever_text():
    decided, found, declared = documents()
    for text in HOSTILE:
        evil_found, evil = deepcopy(found), deepcopy(decided)
        evil_found["slices"][0] |= {"feature": text, "value": text}
        evil_found["importance"][0]["feature"] = text
        evil_found["files"] = [text] * 500
        evil_found["note"] = text
        evil_found["challenger"] = {text: 0.5, "roc_auc": 0.7}
        for who in ("challenger", "champion"):
            evil_found["curves"][who]["confusion"] = CURVES["multiclass"]["confusion"] | {
                "labels": [text] * 3
            }
        evil_found["holdout"] = {"from": text, "to": text, "days": {text: 3}}
        for name in (
            "reason",
            "version",
            "run_id",
            "image",
            "approver",
            "approval_comment",
            "metric",
            "decision_uri",
        ):
            evil[name] = text
        evil["checks"] = [{"name": text, "words": text, "passed": False, "found": text, "limit": None}] * 300
        evil["versions"] = {text: text}
        shown = _safe(page.render(evil, evil_found, declared))
        plain = text[:20] if text.isprintable() else ""
        assert plain in shown.words
        assert not set("\u202e\x00\x1b\ud800") & set(shown.words)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**400), 10**400),
    st.floats(),
    st.sampled_from(HOSTILE),
    st.lists(st.floats(), max_size=3),
    st.dictionaries(st.sampled_from(["challenger", "edges", "counts", "rows"]), st.floats(), max_size=2),
)


def _places(value, at=()):
    """Every place within plain data."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*at, key)
        yield from _places(one, (*at, key))


@pytest.mark.parametrize("task", TASKS)
@settings(max_examples=60)
@given(data=st.data())
def test_whatever_is_missing_or_no_number_the_page_is_whole(task, data):
    decided, found, declared = documents(task)
    both = deepcopy({"decision": decided, "evaluation": found})
    for _ in range(data.draw(st.integers(1, 4))):
        places = [place for place in _places(both) if len(place) > 1]
        *way, last = data.draw(st.sampled_from(places))
        inner = both
        for key in way:
            inner = inner[key]
        inner[last] = data.draw(VALUES)
    text = page.render(both["decision"], both["evaluation"], declared)
    _safe(text)
    assert not re.search(r'="[^"]*\b(nan|inf)\b', text, re.IGNORECASE)


def test_the_page_stays_small_with_the_largest_evaluation():
    decided, found, declared = documents()
    line = [[i / 199, i / 199] for i in range(200)]
    edges = [i / 40 for i in range(41)]
    for who in ("challenger", "champion"):
        labels = [f"class {i}" for i in range(20)]
        found["curves"][who] = {
            "roc": line,
            "pr": line,
            "confusion": {"labels": labels, "counts": [[1_000_000] * 20] * 20, "left_out": 9},
            "scores": {"edges": edges, "counts": [1_000] * 40, "positives": [400] * 40},
            "residuals": {"edges": edges, "counts": [1_000] * 40, "below": 1, "above": 1},
            "predicted_actual": [[i * 1.001, i * 1.002] for i in range(500)],
        }
    found["slices"] = [found["slices"][0] | {"value": f"value {i}", "loss": i / 1e4} for i in range(2_000)]
    found["importance"] = [found["importance"][0] | {"feature": f"feature {i}"} for i in range(1_000)]
    found["files"] = [f"accepted/toy/{i}.csv" for i in range(5_000)]
    found["holdout"]["days"] = {
        f"{2000 + i // 336}-{i // 28 % 12 + 1:02d}-{i % 28 + 1:02d}": 9 for i in range(4_000)
    }
    shown = _safe(page.render(decided, found, declared))
    assert "the 80 that lose most are shown" in shown.words
    assert "value 1999" in shown.words


def test_the_report_is_drawn_by_the_standard_library_alone():
    """The judge's function has no numpy."""
    modules = "training.report.page, training.report.summary, training.registry.card"
    code = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert not {"numpy", "pandas", "yaml", "boto3"} & set(done.stdout.split())
