"""One message at the end: what serves now, or why not, and what to do."""

from inference.release import words
from inference.release.actions import End
from inference.release.world import Recover, Release, Rollback
from training.ledger.rollouts import RolloutRecord, Served

RECORD = RolloutRecord(
    model="m",
    config="c2",
    serving_package="p2",
    serving_version="1.2.0",
    history=(Served(config="c0", why="replaced by version 1.2.0"),),
)
FACTS = {
    "version": "1.2.0", "metric": "roc_auc", "challenger": "0.64", "champion": "0.58", "reason": "better",
    "report_uri": "s3://a/decisions/m/r.html", "run_id": "none",
}  # fmt: skip


def _message(operation, end, record=RECORD, facts=FACTS):
    return words.message("upkeep-dev-m", operation, end, record, facts, "arn:execution")


def test_a_live_version_is_told_with_what_it_replaced_its_numbers_and_the_way_back():
    subject, text = _message(
        Release(package_arn="p2"), End(ok=True, outcome="live", reason="version 1.2.0 serves")
    )
    assert subject == "upkeep-dev-m: version 1.2.0 serves"
    assert "Before it, the seed did (c0): replaced by version 1.2.0." in text
    assert "roc_auc: 0.64, that of what it was compared with 0.58" in text
    assert "Report: s3://a/decisions/m/r.html" in text
    assert "Run:" not in text
    assert "upkeep rollback" in text
    assert "arn:execution" in text


def test_a_failure_is_told_with_its_reason_what_serves_and_how_to_try_again():
    end = End(ok=False, outcome="rolled_back", reason="alarms rang")
    subject, text = _message(Release(package_arn="p3"), end, facts={"version": "1.3.0"})
    assert subject == "upkeep-dev-m: the release of version 1.3.0 was taken back"
    assert "alarms rang" in text
    assert "Version 1.2.0 serves (c2)." in text
    assert "--again" in text


def test_a_rollback_is_told_with_who_and_why():
    back = RolloutRecord(
        model="m",
        config="c0",
        history=(Served(config="c2", version="1.2.0", why="rolled back: odd (by ann)"),),
    )
    end = End(ok=True, outcome="live", reason="rolled back: odd (by ann)")
    subject, text = _message(Rollback(), end, back, {})
    assert subject == "upkeep-dev-m: the seed serves"
    assert "version 1.2.0 did (c2): rolled back: odd (by ann)" in text


def test_a_subject_is_one_short_line_of_ascii():
    end = End(ok=False, outcome="failed", reason="x")
    subject, _ = _message(Recover(), end, facts={})
    assert subject == "upkeep-dev-m: the recovery of a release failed"
    long, _ = words.message("é" * 200, Recover(), end, RECORD, {}, "a")
    assert len(long) < 100
    assert long.isascii()


def test_a_package_without_a_version_is_called_by_its_number():
    found = words.facts_of({"ModelPackageVersion": 7, "CustomerMetadataProperties": {"version": "none"}})
    assert found["version"] == "7"
    assert words.facts_of(None) == {}
