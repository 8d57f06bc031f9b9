"""Follows scripted pushes; each promise of `upkeep push --wait` is one of these stories."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.upkeep.fakes import SECOND, START
from upkeep import follow
from upkeep.data import ACCEPTED, ARRIVED, DEAD, GONE, IGNORED, QUARANTINED, Upload
from upkeep.follow import Hold
from upkeep.runs import Decision, Run, Step
from upkeep.serving import Package, Serving

UPLOAD = Upload(
    path=Path("2013-01.csv"),
    bucket="b",
    key="incoming/flights/2013-01.csv",
    accepted_key="accepted/flights/ab.parquet",
    name="2013-01.csv",
    size=10,
)
PROMOTED = Decision(decision="promote", reason="better by 0.01")
REFUSED = Decision(decision="refuse", reason="worse by 0.01")
RUN = Run(
    id="0123456789", model="flights", arn="arn:run", status="SUCCEEDED", started=START, decision=PROMOTED
)
RELEASE = replace(RUN, id="r", arn="arn:release", decision=None)
PACKAGE = Package(
    arn="arn:pkg/3", version=3, created=START, approval="Approved", model_data_url="s3://m", run_id=RUN.id
)
SERVING = Serving(endpoint="e", status="InService", version=3)
PROGRESS_RELEASED = follow.Progress(
    uploads=(replace(UPLOAD, state=ACCEPTED),),
    run=RUN,
    package=PACKAGE,
    release=RELEASE,
    answering=True,
    seconds=15.0,
)


@dataclass
class Script:
    """A source whose answers are given; `later` changes them, one entry per look at the files."""

    state: str = ACCEPTED
    reason: str = ""
    run: Run | None = RUN
    before: Run | None = None
    version: Package | None = PACKAGE
    rollout: Run | None = RELEASE
    served: Serving = SERVING
    answer: bool = True
    later: list[dict] = field(default_factory=list)
    new_only: bool | None = None
    hold: Hold | None = None
    reached: bool = True

    def wanted(self, keys):
        return list(keys) if self.reached else []

    def held(self):
        return self.hold

    def look(self, upload):
        for name, value in (self.later.pop(0) if self.later else {}).items():
            setattr(self, name, value)
        return replace(upload, state=self.state, reason=self.reason)

    def run_with(self, keys, *, new_only):
        assert keys in ([UPLOAD.accepted_key], [])
        self.new_only = new_only
        return self.run if new_only or self.run else self.before

    def describe(self, run):
        assert not run.ended, "what has ended does not change any more"
        return self.run if run.id == RUN.id else self.rollout

    def decision(self, run):
        return (self.run or run).decision

    def steps(self, run):
        return [Step(name="Train", status="done", started=START, ended=START + SECOND, spent_seconds=1)]

    def package(self, run):
        return self.version

    def release(self, package, run):
        return self.rollout

    def serving(self):
        return self.served

    def answers(self, run):
        return self.answer


class Clock:
    """Seconds that pass only in sleep."""

    now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def told(script, upload=UPLOAD, timeout_seconds=60.0, **options):
    clock = Clock()
    uploads = [] if upload is None else [upload]
    return follow.follow(
        script,
        uploads,
        timeout_seconds=timeout_seconds,
        poll_seconds=1.0,
        clock=clock,
        sleep=clock.sleep,
        now=lambda: START + clock.now * SECOND,
        **options,
    )


def test_a_better_model_is_released_and_the_exit_code_is_0():
    result = told(Script())
    assert (result.outcome, result.exit_code, result.reason) == ("released", 0, "better by 0.01")


def test_a_worse_model_is_refused_with_3_and_the_judges_reason():
    result = told(Script(run=replace(RUN, decision=REFUSED)))
    assert (result.outcome, result.exit_code, result.reason) == ("refused", 3, "worse by 0.01")


def test_a_bad_file_is_quarantined_with_4_and_its_reason():
    result = told(Script(state=QUARANTINED, reason="no header"))
    assert (result.outcome, result.exit_code, result.reason) == ("quarantined", 4, "2013-01.csv: no header")


def test_a_failed_training_is_1_with_its_own_words():
    result = told(Script(run=replace(RUN, status="FAILED", cause="AlgorithmError: boom", decision=None)))
    assert (result.outcome, result.exit_code) == ("failed", 1)
    assert result.reason == "The retraining failed: AlgorithmError: boom"


@pytest.mark.parametrize(("status", "words"), [("TIMED_OUT", "timed out"), ("ABORTED", "was stopped")])
def test_other_ends_of_a_run_are_failures_too(status, words):
    assert words in told(Script(run=replace(RUN, status=status, decision=None))).reason


def test_a_run_that_succeeds_without_a_decision_is_a_failure():
    assert told(Script(run=replace(RUN, decision=None))).outcome == "failed"


def test_a_failed_release_is_1_and_says_why():
    result = told(Script(rollout=replace(RELEASE, status="FAILED", cause="the server does not come up")))
    assert (result.outcome, result.exit_code) == ("failed", 1)
    assert "release of version 3 failed: the server does not come up" in result.reason


def test_a_version_rejected_on_release_is_1():
    result = told(Script(version=replace(PACKAGE, approval="Rejected", note="no answer"), rollout=None))
    assert (result.outcome, result.reason) == ("failed", "Version 3 was rejected on release: no answer")


@pytest.mark.parametrize(
    ("release", "outcome", "code", "said"),
    [
        ("refused", "refused by the check", 3, "Version 1.2.0 got no traffic: p99 is 900 ms"),
        ("rolled_back", "rolled back", 7, "Version 1.2.0 was taken back: p99 is 900 ms"),
        ("failed", "failed", 1, "Version 1.2.0 was rejected on release: p99 is 900 ms"),
    ],
)
def test_what_a_release_notes_in_the_registry_is_how_it_ended(release, outcome, code, said):
    noted = {"version": "1.2.0", "release_reason": "p99 is 900 ms"}
    version = replace(PACKAGE, approval="Rejected", release=release, metadata=noted)
    result = told(
        Script(version=version, rollout=replace(RELEASE, status="FAILED", cause="see the registry"))
    )
    assert (result.outcome, result.exit_code, result.reason) == (outcome, code, said)


def test_what_became_of_a_version_is_read_after_its_release_has_ended():
    ended = {"rollout": replace(RELEASE, status="FAILED")}
    noted = replace(PACKAGE, release="rolled_back", note="alarm rang")

    class Late(Script):
        def package(self, run):
            return noted if self.rollout.ended else PACKAGE

    script = Late(rollout=replace(RELEASE, status="RUNNING"), later=[{}, ended])
    assert (told(script).outcome, told(script).reason) == (
        "rolled back", "Version 3 was taken back: alarm rang",
    )  # fmt: skip


def test_a_version_that_waits_for_a_person_is_5():
    result = told(Script(version=replace(PACKAGE, approval="PendingManualApproval"), rollout=None))
    assert (result.outcome, result.exit_code) == ("waiting for approval", 5)


def test_released_means_that_the_new_version_really_answers():
    result = told(Script(answer=False), timeout_seconds=3)
    assert (result.outcome, result.exit_code) == ("timeout", 1)
    assert result.reason == "Not done after 3 s; it was waiting for the new version to answer."


def test_an_endpoint_that_serves_another_version_is_not_released():
    assert told(Script(served=replace(SERVING, version=2)), timeout_seconds=3).outcome == "timeout"


def test_it_waits_through_everything_that_takes_time():
    running = replace(RUN, status="RUNNING", stopped=None, decision=None)
    script = Script(
        state=ARRIVED,
        run=None,
        version=None,
        rollout=None,
        answer=False,
        later=[
            {},
            {"state": ACCEPTED},
            {"run": running},
            {"run": RUN},
            {"version": PACKAGE},
            {"rollout": replace(RELEASE, status="RUNNING")},
            {"rollout": RELEASE},
            {"answer": True},
        ],
    )
    seen = []
    clock = Clock()
    result = follow.follow(
        script,
        [UPLOAD],
        poll_seconds=1.0,
        show=lambda p: seen.append(p.where()),
        clock=clock,
        sleep=clock.sleep,
    )
    assert result.outcome == "released"
    assert result.progress.seconds == len(seen) - 1
    assert seen[0] == "the intake checks 2013-01.csv"
    assert "a retraining to start" in seen
    assert "the new version in the registry" in seen
    assert "the release to start" in seen


def test_a_new_file_is_followed_by_a_new_run_only():
    script = Script()
    told(script)
    assert script.new_only is True


def test_files_trained_on_before_are_nothing_new_and_name_the_run():
    script = Script()
    result = told(script, replace(UPLOAD, known=True))
    assert (result.outcome, result.exit_code, script.new_only) == ("unchanged", 0, False)
    assert result.reason == "This very content was trained on before, by run 01234567: better by 0.01"


def test_other_bytes_with_rows_that_were_trained_on_before_are_nothing_new():
    result = told(Script(run=None, before=RUN), UPLOAD)
    assert (result.outcome, result.exit_code) == ("unchanged", 0)
    assert "trained on before, by run 01234567" in result.reason


def test_other_bytes_with_rows_that_a_run_failed_on_are_waited_for():
    failed = replace(RUN, status="FAILED", cause="no rows", decision=None)
    script = Script(run=None, before=failed, later=[{}, {"run": RUN}])
    assert told(script, UPLOAD).outcome == "released"


def test_files_accepted_before_that_a_run_reads_only_now_are_followed_to_its_end():
    running = replace(RUN, status="RUNNING", stopped=None, decision=None)
    script = Script(run=running, later=[{}, {"run": RUN}])
    assert told(script, replace(UPLOAD, known=True)).outcome == "released"


def test_a_known_files_failed_retry_is_a_failure():
    running = replace(RUN, status="RUNNING", stopped=None, decision=None)
    failed = replace(RUN, status="FAILED", cause="no rows", decision=None)
    result = told(Script(run=running, later=[{}, {"run": failed}]), replace(UPLOAD, known=True))
    assert (result.outcome, result.exit_code) == ("failed", 1)


def test_files_accepted_before_without_any_run_are_nothing_new():
    result = told(Script(run=None), replace(UPLOAD, known=True))
    assert (result.outcome, result.exit_code) == ("unchanged", 0)
    assert result.progress.seconds >= follow.GRACE_SECONDS


def test_the_quiet_period_is_waited_for_before_known_files_count_as_nothing_new():
    result = told(Script(run=None), replace(UPLOAD, known=True), quiet_seconds=30)
    assert result.progress.seconds >= follow.GRACE_SECONDS + 30


def test_data_older_than_the_window_is_nothing_a_run_will_read():
    result = told(Script(run=None, reached=False))
    assert (result.outcome, result.exit_code) == ("unchanged", 0)
    assert "training.window" in result.reason


HOLD = Hold(rule="max_per_day", reason="24 runs were started", until=START + 3600 * SECOND)


def test_a_run_held_for_longer_than_is_waited_is_6_and_says_by_what_and_until_when():
    result = told(Script(run=None, hold=HOLD))
    assert (result.outcome, result.exit_code) == ("held", 6)
    assert "held by max_per_day until 2026-11-21 11:00:00 UTC: 24 runs were started" in result.reason
    assert "upkeep runs start --force" in result.reason
    assert json.loads(json.dumps(result.to_json()))["held"]["rule"] == "max_per_day"


def test_a_hold_only_a_person_ends_is_said_at_once():
    result = told(Script(run=None, hold=replace(HOLD, until=None)))
    assert (result.outcome, result.progress.seconds) == ("held", 0)
    assert "until a person starts it" in result.reason


def test_a_hold_that_ends_in_time_is_waited_for():
    hold = replace(HOLD, rule="cooldown", until=START + 10 * SECOND)
    script = Script(run=None, hold=hold, later=[{}, {}, {"run": RUN}])
    assert told(script).outcome == "released"


def test_while_it_is_held_it_says_so():
    progress = follow.Progress(uploads=(replace(UPLOAD, state=ACCEPTED),), hold=HOLD)
    assert progress.where() == "the retraining, held by max_per_day until 2026-11-21 11:00:00 UTC"


@pytest.mark.parametrize(
    ("state", "outcome", "code", "said"),
    [
        (DEAD, "failed", 1, "2013-01.csv: the intake has given it up"),
        (GONE, "failed", 1, "2013-01.csv: it was deleted before the intake saw it"),
        (IGNORED, "unchanged", 0, "2013-01.csv: the intake ignores it"),
    ],
)
def test_a_file_that_is_no_data_ends_the_push(state, outcome, code, said):
    result = told(Script(state=state))
    assert (result.outcome, result.exit_code, result.reason) == (outcome, code, said)


def test_a_file_that_was_given_up_beside_a_released_one_is_a_failure():
    progress = replace(PROGRESS_RELEASED, uploads=(*PROGRESS_RELEASED.uploads, replace(UPLOAD, state=DEAD)))
    assert follow.Result(outcome="released", reason="r", progress=progress).exit_code == 1


def test_a_run_a_person_asked_for_is_followed_without_any_file():
    script = Script()
    result = told(script, None)
    assert (result.outcome, result.exit_code, script.new_only) == ("released", 0, True)


def test_a_run_a_person_asked_for_can_be_held_too():
    assert told(Script(run=None, hold=HOLD), None).exit_code == 6


def test_a_quarantined_file_beside_a_released_one_still_counts():
    clock = Clock()
    bad = replace(UPLOAD, path=Path("bad.csv"), name="bad.csv", key="incoming/flights/bad.csv")

    class Mixed(Script):
        def look(self, upload):
            if upload.path.name == "bad.csv":
                return replace(upload, state=QUARANTINED, reason="empty")
            return replace(upload, state=ACCEPTED)

    result = follow.follow(Mixed(), [UPLOAD, bad], clock=clock, sleep=clock.sleep)
    assert (result.outcome, result.exit_code) == ("released", 4)


def test_the_result_is_one_json_object():
    data = json.loads(json.dumps(told(Script()).to_json()))
    assert (data["outcome"], data["exit_code"], data["version"]) == ("released", 0, 3)
    assert data["files"][0]["state"] == "accepted"
    assert data["run"]["decision"]["reason"] == "better by 0.01"
