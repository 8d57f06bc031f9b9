import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from models.load import load
from tests.upkeep.fakes import SECOND, START
from tests.upkeep.test_follow import PACKAGE, PROMOTED, REFUSED, RELEASE, RUN, SERVING, UPLOAD
from tests.upkeep.test_live import TRAINED
from upkeep import data, demo, demo_story, demo_view, render
from upkeep.demo_files import DataFile
from upkeep.demo_story import Scored, Stage, Story
from upkeep.demo_view import DemoView
from upkeep.follow import Progress, Result
from upkeep.scoring import Score

FILE = DataFile(Path("2013-01.csv"), "January", 26398, "26,398 flights")
ROWS = {"total": 26397, "fitted": 21116, "holdout": 5281}
JUDGED = replace(PROMOTED, metric="roc_auc", challenger=0.6406, champion=0.6281, rows=ROWS)
ACCEPTED = replace(UPLOAD, state=data.ACCEPTED, dropped=53)
PROGRESS = Progress(
    uploads=(ACCEPTED,),
    run=replace(RUN, decision=JUDGED),
    steps=(TRAINED,),
    package=PACKAGE,
    release=replace(RELEASE, stopped=START + 6 * SECOND),
    serving=SERVING,
    seconds=15.0,
)
RELEASED = demo_story.told(FILE, Result(outcome="released", reason="better", progress=PROGRESS), 0.7, 2)
NOT_BETTER = demo_story.told(
    FILE,
    Result(
        outcome="refused",
        reason="refused: roc_auc 0.6560 does not beat the champion's 0.6615",
        progress=replace(
            PROGRESS, run=replace(RUN, decision=replace(REFUSED, rows=ROWS)), package=None, release=None
        ),
    ),
    0.7,
    2,
)
BAD = demo_story.told(
    replace(FILE, name="Hours"),
    Result(
        outcome="quarantined",
        reason="2013-01.csv: minutes to hours?",
        progress=Progress(uploads=(replace(UPLOAD, state=data.QUARANTINED, reason="minutes to hours?"),)),
    ),
    None,
    3,
)
RENAMED = replace(
    BAD,
    name="Renamed",
    reason="missing column distance; the header has all the others",
    diff={"missing": ["distance"], "added": ["miles"], "renamed": {"distance": "miles"}},
)
SCORED = Scored(
    month="July",
    version=3,
    requests=20,
    milliseconds=400.0,
    score=Score(rows=500, expected_share=0.23, real_share=0.25, auc=0.71),
)


def story(**changes):
    parts = {
        "months": [RELEASED, NOT_BETTER],
        "scored": SCORED,
        "broken": [BAD],
        "shuffled": NOT_BETTER,
        **changes,
    }
    return Story(url="http://127.0.0.1:4731", resources=83, seconds=88.7, **parts)


def test_a_push_is_told_with_champion_challenger_and_where_the_seconds_went():
    assert (RELEASED.metric, RELEASED.challenger, RELEASED.champion) == ("roc_auc", 0.6406, 0.6281)
    assert RELEASED.gain == pytest.approx(0.0125)
    assert (RELEASED.rows_in_all, RELEASED.holdout) == (26397, 5281)
    assert (RELEASED.champion_version, RELEASED.version_live) == (2, 3)
    assert RELEASED.stages == (Stage("accepted", 0.7), Stage("trained", 4.0), Stage("released", 6.0))


def test_after_a_refusal_the_old_version_is_live():
    assert (NOT_BETTER.version_live, NOT_BETTER.gain) == (2, None)


def test_a_quarantined_file_has_its_own_reason_only():
    assert (BAD.reason, BAD.version_live, BAD.stages) == ("minutes to hours?", 3, ())


def test_a_story_as_promised_has_no_problems():
    assert story().problems() == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"months": [NOT_BETTER]}, "No version was released."),
        ({"months": [RELEASED, replace(RELEASED, outcome="failed", reason="boom")]}, "January: failed: boom"),
        (
            {"broken": [replace(BAD, outcome="released")]},
            "2013-01.csv should be quarantined, but was released",
        ),
        (
            {"shuffled": replace(RELEASED)},
            "The month with shuffled labels should be refused, but was released",
        ),
        ({"broken": []}, "No broken file was pushed."),
        ({"scored": None}, "No flights were scored."),
    ],
)
def test_whatever_goes_otherwise_is_a_problem(changes, problem):
    found = story(**changes).problems()
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_the_story_is_one_json_document():
    told = json.loads(json.dumps(story().to_json()))
    assert (told["ok"], told["problems"], told["deploy"]["resources"]) == (True, [], 83)
    assert [push["outcome"] for push in told["months"]] == ["released", "refused"]
    assert told["months"][0]["gain"] == pytest.approx(0.0125)
    assert told["scored"]["score"]["auc"] == 0.71


def transcript(out):
    view = DemoView(out)
    view.title(6)
    view.gate(load(["flights"])["flights"])
    view.pushed(RELEASED)
    view.pushed(NOT_BETTER)
    view.scored(SCORED)
    view.pushed(BAD)
    view.pushed(RENAMED)
    view.summary(story())
    view.close(story(), demo.next_steps(story(), 4731, keep=True))
    return out.file.getvalue()


def test_the_transcript_says_what_happened_and_why():
    said = transcript(render.console(io.StringIO()))
    for sentence in (
        "six months of real flights",
        "must beat the one that serves by more than 0.002 in roc_auc",
        "more than chance explains (90% sure, by the day), and reach 0.6;",
        "26,398 flights, pushed as 2013-01.csv",
        "accepted 0.7 s, trained 4.0 s, released 6.0 s",
        "roc_auc 0.6406 against 0.6281 of version 2 on the same 5,281 newest flights: +0.0125",
        "version 3 answers",
        "53 bad rows left out, and kept beside with the reason of each",
        "roc_auc 0.6560 does not beat the champion's 0.6615",
        "refused by the gate, version 2 serves on",
        "expected 23% late, really late 25%; AUC 0.710",
        "minutes to hours?",
        "in quarantine, nothing was trained, version 3 serves on",
        "column distance is missing, column miles is new; renamed: distance to miles?",
        "1 version released, nothing got worse, 1 min 29 s in all.",
        "upkeep quarantine list --port 4731",
        "upkeep sandbox stop --port 4731",
    ):
        assert sentence in said


def test_a_reason_is_told_up_to_what_to_do_about_it():
    long = replace(
        BAD, reason="column a: 60 times smaller, 13.9 not 835; minutes to hours? Convert it. Push it."
    )
    assert demo_view.why(long) == "column a: 60 times smaller, 13.9 not 835; minutes to hours?"
    assert demo_view.why(replace(NOT_BETTER, reason="refused: 0.6 is below 0.7")) == "0.6 is below 0.7"
    assert demo_view.why(replace(BAD, diff={"missing": ["a", "b"]})) == "column a, b is missing"


def test_a_pipe_gets_no_control_characters():
    assert "\033" not in transcript(render.console(io.StringIO()))


def test_no_line_is_wider_than_the_terminal():
    out = Console(file=io.StringIO(), force_terminal=True, width=80, no_color=True)
    lines = transcript(out).splitlines()
    assert max(len(line) for line in lines if "\033" not in line) <= 80


def test_a_story_that_went_wrong_says_so_at_the_end():
    out = render.console(io.StringIO())
    DemoView(out).close(story(months=[NOT_BETTER]), [])
    assert "✘ No version was released." in out.file.getvalue()
    assert "nothing got worse" not in out.file.getvalue()


def test_what_happens_just_now_is_shown_while_it_lasts():
    out = Console(file=io.StringIO(), force_terminal=True, width=100)
    with DemoView(out).busy("Stack", "applying the program") as now:
        now.doing("3 resources made")
    assert "Stack" in out.file.getvalue()
    assert "3 resources made" in out.file.getvalue()


def test_without_keep_the_next_steps_begin_a_new_sandbox():
    commands = [command for command, _ in demo.next_steps(story(), 4566, keep=False)]
    assert commands[0] == "upkeep demo --keep"


def test_on_the_usual_port_the_next_steps_need_no_option():
    assert all("--port" not in command for command, _ in demo.next_steps(story(), 4566, keep=True))
