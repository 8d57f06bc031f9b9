"""The judge may look at what it seals, and write each thing once."""

from tests.infra.mocks import ACCOUNT, standard

ARTIFACTS = f"arn:aws:s3:::upkeep-test-artifacts-{ACCOUNT}"
DATA = f"arn:aws:s3:::upkeep-test-data-{ACCOUNT}"


def test_the_judge_touches_neither_the_registry_nor_an_endpoint() -> None:
    actions = set(standard().allowed("judge-policy"))
    assert not [action for action in actions if action.startswith("sagemaker:")]
    assert not [action for action in actions if "Delete" in action]


def test_the_judge_reads_what_it_seals_and_nothing_else() -> None:
    readable = standard().allowed("judge-policy")["s3:GetObject"]
    assert set(readable) == {
        *(f"{ARTIFACTS}/{folder}/*" for folder in ("training", "specs", "decisions", "versions")),
        f"{DATA}/manifests/*",
    }


def test_a_decision_and_a_number_are_written_once_and_never_again() -> None:
    (writes,) = [
        statement
        for statement in standard().policy("judge-policy")["Statement"]
        if "s3:PutObject" in statement["Action"]
    ]
    assert writes["Resource"] == [f"{ARTIFACTS}/decisions/*", f"{ARTIFACTS}/versions/*"]
    assert writes["Condition"] == {"Null": {"s3:if-none-match": "false"}}


def test_the_judge_has_a_whole_cpu_for_what_it_hashes() -> None:
    function = standard().one("Function", "judge-function").inputs
    assert function["memorySize"] == 1769
    assert function["timeout"] < 900
    assert {"STACK", "DATA_BUCKET", "LEDGER_TABLE"} <= set(function["environment"]["variables"])
