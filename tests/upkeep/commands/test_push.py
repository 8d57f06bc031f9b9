import contextlib
import io
import sys
from dataclasses import replace

import pytest

from tests.training.lambdas import ARTIFACTS
from tests.upkeep.stand import flights
from tests.upkeep.test_follow import PROGRESS_RELEASED
from tests.upkeep.test_rows import SPEC
from upkeep import checking, follow
from upkeep.follow import Result

GOOD = flights(4)


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "2013-01.csv"
    path.write_text(GOOD)
    return path


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text(GOOD.replace("carrier", "airline"))
    return path


@pytest.fixture
def ending(monkeypatch):
    """Let following end with a result at once."""

    def end(result):
        def follow_now(source, uploads, **_how):
            return result

        monkeypatch.setattr(follow, "follow", follow_now)

    return end


def arrived(stand):
    return stand.keys("incoming/")


def test_a_good_file_is_pushed_and_the_place_is_shown(operate, stand, good):
    said = operate("push", good)
    assert said.code == 0
    assert "s3://upkeep-test-data-123456789012/incoming/flights/2013-01.csv" in said.out
    assert arrived(stand) == ["incoming/flights/2013-01.csv"]


def test_json_names_the_files_pushed(operate, stand, good):
    found = operate("push", good, "--json").data
    assert found["files"][0]["key"] == "incoming/flights/2013-01.csv"


def test_a_file_the_intake_would_refuse_is_not_sent(operate, stand, good, bad):
    said = operate("push", good, bad)
    assert said.code == 4
    assert "bad.csv: missing column carrier" in said.out
    assert "--no-check" in said.out
    assert arrived(stand) == []


def test_refusals_are_data_too(operate, stand, bad):
    said = operate("push", bad, "--json")
    assert (said.code, said.data["exit_code"]) == (4, 4)
    assert "carrier" in said.data["files"][0]["reason"]


def test_the_check_can_be_left_to_the_stack(operate, stand, bad):
    assert operate("push", bad, "--no-check").code == 0
    assert arrived(stand) == ["incoming/flights/bad.csv"]


def test_waiting_ends_with_the_outcome_and_its_exit_code(operate, stand, good, ending):
    ending(Result(outcome="released", reason="better by 0.01", progress=PROGRESS_RELEASED))
    said = operate("push", good, "--wait")
    assert said.code == 0
    assert "released: version 3 answers after 15 s. better by 0.01." in said.out


def test_a_refusal_is_3_and_says_why_once(operate, stand, good, ending):
    ending(Result(outcome="refused", reason="refused: worse by 0.01", progress=PROGRESS_RELEASED))
    said = operate("push", good, "--wait")
    assert said.code == 3
    assert "refused after 15 s. worse by 0.01." in said.out


def test_the_outcome_is_one_json_document(operate, stand, good, ending):
    ending(Result(outcome="released", reason="better", progress=PROGRESS_RELEASED))
    said = operate("push", good, "--wait", "--json")
    assert (said.data["outcome"], said.data["version"]) == ("released", 3)


def test_the_check_is_the_intakes_own(good, bad):
    assert [refusal.path for refusal in checking.refused([good, bad], SPEC)] == [bad]


def test_without_duckdb_it_says_what_to_do(operate, stand, good, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    said = operate("push", good)
    assert said.code == 1
    assert "needs duckdb, which is not installed" in said.err
    assert "--no-check" in said.err


def test_a_stack_that_lost_its_spec_says_so_before_anything_is_sent(operate, stand, good):
    stand.s3.delete_object(Bucket=ARTIFACTS, Key="specs/flights.json")
    said = operate("push", good)
    assert said.code == 1
    assert "specs/flights.json" in said.err
    assert arrived(stand) == []


def test_a_folder_is_one_delivery(operate, stand, tmp_path):
    for name in ("01.csv", "deep/02.csv"):
        path = tmp_path / "2013" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(GOOD)
    found = operate("push", tmp_path / "2013", "--json").data
    assert (found["delivery"], found["manifest"]) == ("2013", None)
    assert arrived(stand) == ["incoming/flights/2013/01.csv", "incoming/flights/2013/deep/02.csv"]


def test_a_manifest_completes_a_delivery_after_its_files(operate, stand, good):
    puts = []
    stand.s3.meta.events.register(
        "before-call.s3.PutObject", lambda params, **_k: puts.append(params["url_path"])
    )
    said = operate("push", good, "--manifest", "--delivery", "january")
    assert said.code == 0
    assert "manifest of 1 files" in said.out
    assert [path.rpartition("/")[2] for path in puts] == ["2013-01.csv", "_MANIFEST.json"]
    assert sorted(arrived(stand)) == [
        "incoming/flights/january/2013-01.csv",
        "incoming/flights/january/_MANIFEST.json",
    ]


def by_manifest(stand):
    stand.deploy(replace(stand.spec, triggers=replace(stand.spec.triggers, delivery="manifest")))


def test_a_model_that_wants_manifests_gets_one_by_itself(operate, stand, good):
    by_manifest(stand)
    assert operate("push", good, "--json").data["manifest"].endswith("/_MANIFEST.json")


def test_without_its_manifest_nothing_would_happen_so_it_is_refused(operate, stand, good):
    by_manifest(stand)
    said = operate("push", good, "--no-manifest")
    assert said.code == 1
    assert "triggers.delivery: manifest" in said.err
    assert arrived(stand) == []


def test_a_held_run_is_6_and_says_how_to_force_it(operate, stand, good, ending):
    reason = "The data is kept and the retraining held by max_per_day until tomorrow: 24 runs."
    ending(Result(outcome="held", reason=reason, progress=PROGRESS_RELEASED))
    said = operate("push", good, "--wait")
    assert said.code == 6
    assert "held after 15 s. The data is kept" in said.out


def test_files_that_were_refused_or_given_up_say_where_to_look(operate, stand, good, ending):
    (upload,) = PROGRESS_RELEASED.uploads
    uploads = (
        replace(upload, state="quarantined", quarantine_id="ab12", reason="why"),
        replace(upload, state="dead"),
    )
    progress = replace(PROGRESS_RELEASED, uploads=uploads)
    ending(Result(outcome="failed", reason="r", progress=progress))
    said = operate("push", good, "--wait")
    assert said.code == 1
    assert "`upkeep quarantine show ab12`" in said.out
    assert "`upkeep replay` sends it back" in said.out


def test_the_followed_version_is_the_one_that_was_uploaded(operate, stand, good, monkeypatch):
    """The intake settles it meanwhile; then nothing starts a run, and the time is over."""

    def follow_now(source, uploads, **how):
        (upload,) = uploads
        with contextlib.redirect_stdout(io.StringIO()):
            stand.take_in(upload.key, upload.version_id)
        return real(source, uploads, **{**how, "timeout_seconds": 0})

    real = follow.follow
    monkeypatch.setattr(follow, "follow", follow_now)
    found = operate("push", good, "--wait", "--json").data
    assert (found["outcome"], found["files"][0]["state"], found["files"][0]["rows"]) == (
        "timeout",
        "accepted",
        4,
    )
