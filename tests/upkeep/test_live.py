import io
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console

from tests.upkeep.fakes import SECOND, START
from tests.upkeep.test_follow import PACKAGE, RELEASE, RUN, UPLOAD
from upkeep import data, live, render
from upkeep.follow import Hold, Progress
from upkeep.runs import Step

NOW = START + 10 * SECOND
TRAIN = Step(name="Train", kind="Task", status="running", started=START, entered=START)
TRAINED = TRAIN.left(START + 4 * SECOND, "done")
COUNT = replace(TRAINED, name="Count", kind="Pass", spent_seconds=0.0)
PAUSE = replace(TRAINED, name="Pause", kind="Wait", spent_seconds=2.0)
ACCEPTED = replace(UPLOAD, state=data.ACCEPTED, rows=26483)
RUNNING = Progress(uploads=(ACCEPTED,), run=replace(RUN, status="RUNNING", rows=33333), steps=(TRAIN,))
DONE = replace(
    RUNNING,
    run=replace(RUN, rows=33333),
    steps=(TRAINED,),
    package=PACKAGE,
    release=RELEASE,
    release_steps=(COUNT, PAUSE),
)


def shown(progress):
    return [(row.name, row.mark, row.detail, row.seconds) for row in live.rows(progress, NOW)]


def test_files_runs_and_releases_are_shown_in_order():
    assert shown(DONE) == [
        ("2013-01.csv (10 B)", "done", "accepted, 26,483 rows", None),
        ("Retraining 01234567", "", "33,333 rows", None),
        ("Train", "done", "", 4.0),
        ("Release of version 3", "", "", None),
        ("Pause", "done", "", 2.0),
    ]


def test_before_the_judgement_rows_are_those_of_the_files():
    running = replace(RUNNING, run=replace(RUN, status="RUNNING", rows=33333, files=2, decision=None))
    assert shown(running)[1] == ("Retraining 01234567", "", "33,333 rows in 2 files", None)


def test_a_running_state_shows_its_seconds_so_far():
    assert shown(RUNNING)[-1] == ("Train", "running", "", 10.0)


def test_a_clock_that_is_behind_never_shows_negative_seconds():
    assert live.rows(RUNNING, START - timedelta(hours=1))[-1].seconds == 0.0


def test_a_quarantined_file_shows_its_reason():
    progress = Progress(uploads=(replace(UPLOAD, state=data.QUARANTINED, reason="no header"),))
    assert shown(progress) == [("2013-01.csv (10 B)", "refused", "quarantined: no header", None)]


def test_rows_that_were_left_out_are_shown():
    upload = replace(ACCEPTED, known=True, dropped=3)
    assert shown(Progress(uploads=(upload,)))[0][2] == "accepted before, 26,483 rows, 3 bad rows left out"


@pytest.mark.parametrize(
    ("state", "mark", "said"),
    [
        (data.IGNORED, "refused", "ignored: why"),
        (data.GONE, "refused", "deleted before it was seen: why"),
        (data.DEAD, "failed", "given up: why"),
    ],
)
def test_a_file_that_is_no_data_says_why(state, mark, said):
    upload = replace(UPLOAD, state=state, reason="why")
    assert shown(Progress(uploads=(upload,)))[0][1:3] == (mark, said)


def test_a_hold_is_shown_with_its_reason_until_the_run_starts():
    hold = Hold(rule="cooldown", reason="too soon", until=START)
    held = Progress(uploads=(ACCEPTED,), hold=hold)
    said = "The retraining is held by cooldown until 2026-11-21 10:00:00 UTC"
    assert shown(held)[1] == (said, "refused", "too soon", None)
    assert said not in [row[0] for row in shown(replace(RUNNING, hold=hold))]


def test_in_a_pipe_every_change_is_one_line_and_said_once():
    out = render.console(io.StringIO())
    with live.FollowView(out, now=lambda: NOW) as view:
        for progress in (RUNNING, RUNNING, DONE, DONE):
            view.show(progress)
    assert out.file.getvalue().splitlines() == [
        "  ✔ 2013-01.csv (10 B)  accepted, 26,483 rows",
        "Retraining 01234567  33,333 rows",
        "  ✔ Train  4.0 s",
        "Release of version 3",
        "  ✔ Pause  2.0 s",
    ]


def test_on_a_terminal_it_is_one_live_table():
    out = Console(file=io.StringIO(), force_terminal=True, width=100)
    with live.FollowView(out, now=lambda: NOW) as view:
        view.show(RUNNING)
        view._live.refresh()
        assert "state Train" in out.file.getvalue()
        view.show(DONE)
    assert "Release of version 3" in out.file.getvalue()


def test_what_was_waited_for_is_gone_at_the_end():
    out = Console(file=io.StringIO(), force_terminal=True, width=100)
    with live.FollowView(out, now=lambda: NOW) as view:
        view.show(RUNNING)
    assert "state Train" not in out.file.getvalue()


def test_phases_of_a_release_are_shown_however_short_and_say_what_they_are_about():
    phase = Step(name="Check", kind="Phase", status="done", started=START, spent_seconds=0.1)
    baking = Step(
        name="Move the traffic",
        kind="Phase",
        status="running",
        started=START,
        entered=START,
        message="baking",
    )
    progress = replace(DONE, release=replace(RELEASE, status="RUNNING"), release_steps=(phase, baking))
    assert shown(progress)[-2:] == [
        ("Check", "done", "", 0.1),
        ("Move the traffic", "running", "baking", 10.0),
    ]
    assert progress.where() == "the release: move the traffic: baking"


def test_the_heading_of_a_release_names_the_semantic_version():
    progress = replace(DONE, package=replace(PACKAGE, metadata={"version": "1.2.0"}))
    assert ("Release of version 1.2.0", "", "", None) in shown(progress)
