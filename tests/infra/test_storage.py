import pytest

from tests.infra.mocks import ACCOUNT, deploy, standard

DATA, ARTIFACTS, LOGS = (f"upkeep-test-{role}-{ACCOUNT}" for role in ("data", "artifacts", "logs"))


def test_buckets_are_named_after_stack_role_and_account() -> None:
    assert {b["bucket"] for b in standard().of("aws:s3/bucket:Bucket")} == {DATA, ARTIFACTS, LOGS}


def test_arrivals_are_told_to_eventbridge() -> None:
    notification = standard().one("BucketNotification")
    assert (notification["bucket"], notification["eventbridge"]) == (DATA, True)


def test_refused_files_and_recordings_expire_and_accepted_data_stays() -> None:
    deployment = deploy({"quarantineRetentionDays": 5, "captureRetentionDays": 6, "versionRetentionDays": 7})
    rules = {
        r["id"]: r for r in deployment.one("BucketLifecycleConfiguration", "storage-data-lifecycle")["rules"]
    }
    assert rules["expire-quarantine"]["filter"]["prefix"] == "quarantine/"
    assert rules["expire-quarantine"]["expiration"]["days"] == 5
    assert rules["expire-rejected"]["filter"]["prefix"] == "rejected/"
    assert rules["expire-rejected"]["expiration"]["days"] == 5, (
        "refused rows are kept as long as refused files"
    )
    assert rules["expire-capture"]["expiration"]["days"] == 6
    assert rules["housekeeping"]["noncurrentVersionExpiration"]["noncurrentDays"] == 7
    assert "days" not in rules["housekeeping"]["expiration"], "current versions never expire by themselves"


def test_access_is_logged_to_a_bucket_that_only_s3_writes_to() -> None:
    for role in ("data", "artifacts"):
        logging = standard().one("BucketLogging", f"storage-{role}-logging")
        assert (logging["targetBucket"], logging["targetPrefix"]) == (LOGS, f"{role}/")
    allowed = [
        s
        for s in standard().one("BucketPolicy", "storage-logs-policy").document("policy")["Statement"]
        if s["Effect"] == "Allow"
    ]
    assert [s["Principal"] for s in allowed] == [{"Service": "logging.s3.amazonaws.com"}]


@pytest.mark.parametrize("protect", [True, False])
def test_protection_covers_what_cannot_be_made_again(protect: bool) -> None:
    resources = deploy({"protect": protect}).resources
    protected = {r.name for r in resources if r.options["protect"]}
    kept = {r.name for r in resources if r.name.startswith("storage")} | {"ledger-table"}
    assert {"storage-data", "storage-data-private", "storage-data-policy", "storage-key"} < kept
    assert protected == (kept if protect else set()), "a bucket that stays keeps its settings too"


def test_what_a_check_or_a_reproduction_leaves_expires_and_models_stay() -> None:
    rules = standard().one("BucketLifecycleConfiguration", "storage-artifacts-lifecycle")["rules"]
    expiring = {r["filter"]["prefix"] for r in rules if "days" in r["expiration"]}
    assert expiring == {"checkpoints/", "checks/", "reproductions/"}


def test_only_a_stack_that_says_so_deletes_full_buckets() -> None:
    assert {b["forceDestroy"] for b in standard().of("aws:s3/bucket:Bucket")} == {False}
    assert {b["forceDestroy"] for b in deploy({"forceDestroy": True}).of("aws:s3/bucket:Bucket")} == {True}


def test_the_key_can_still_be_administrated_by_the_account() -> None:
    statement = standard().one("Key").document("policy")["Statement"][0]
    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    # Without these two AWS refuses the policy, or nobody could change it again.
    assert {"kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"} <= set(statement["Action"])
