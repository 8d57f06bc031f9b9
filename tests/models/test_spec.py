"""The model spec: defaults, and errors that name everything wrong at once."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.load import load, seed_file
from models.spec import METRICS, SpecError, parse

MINIMAL = {
    "name": "flights",
    "task": "binary",
    "target": "late",
    "time_column": "departure",
    "features": {"distance": {"type": "number"}, "carrier": {"type": "category"}},
}


def _errors(**changes: object) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse({**MINIMAL, **changes}, "model.yaml")
    return caught.value.errors


def test_a_minimal_spec_is_filled_with_defaults():
    spec = parse(MINIMAL)
    assert spec.training.estimator == "hist_gradient_boosting"
    assert spec.serving.instance_count == 2
    assert spec.columns == ("departure", "distance", "carrier", "late")


def test_a_spec_survives_the_way_through_json():
    spec = parse(MINIMAL)
    assert parse(json.loads(spec.to_json())) == spec


def test_the_contract_version_changes_with_what_makes_a_file_good_and_with_nothing_else():
    def version(**changes: object) -> str:
        return parse({**MINIMAL, **changes}).contract_version

    same = version()
    assert version(description="another text", training={"holdout_share": 0.3}) == same
    assert version(contract={"min_rows": 5}) != same
    assert version(features={"distance": {"type": "number", "min": 0}}) != same


def test_a_window_is_all_rows_or_a_number_of_days_or_of_rows():
    def window(text: str) -> tuple[int | None, int | None]:
        training = parse({**MINIMAL, "training": {"window": text}}).training
        return training.window_days, training.window_rows

    assert window("all") == (None, None)
    assert window("90 days") == (90, None)
    assert window("500000 rows") == (None, 500_000)


def test_the_price_of_the_table_gives_way_to_the_specs_own():
    assert parse(MINIMAL).usd_per_hour > 0
    own = {"training": {"instance_type": "ml.q1.huge"}, "triggers": {"usd_per_hour": 1.5}}
    assert parse({**MINIMAL, **own}).usd_per_hour == 1.5


def test_the_digest_does_not_depend_on_the_order_of_keys():
    assert parse(dict(reversed(MINIMAL.items()))).digest() == parse(MINIMAL).digest()


def test_all_errors_of_a_file_are_reported_together():
    errors = _errors(task="ranking", target="distance", traning={}, gate={"metric": "auc", "minimum": "high"})
    text = "\n".join(errors)
    assert "model.yaml: task: found 'ranking', expected one of binary, multiclass, regression" in text
    assert "model.yaml: traning: unknown key; allowed here: contract, description, features" in text
    assert "model.yaml: gate.minimum: found 'high', expected a number" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "distance"}, "target: found 'distance', which is a feature too"),
        ({"time_column": "late"}, "time_column: found 'late', which is the target too"),
        ({"gate": {"metric": "rmse"}}, "gate.metric: found 'rmse', allowed for a binary task: roc_auc"),
        ({"gate": {"minimum_gain": -1}}, "gate.minimum_gain: found -1, expected a number of at least 0.0"),
        (
            {"gate": {"floors": {"rmse": 1}}},
            "gate.floors.rmse: unknown metric; allowed for a binary task: roc_auc",
        ),
        ({"gate": {"floors": {"f1": "high"}}}, "gate.floors.f1: found 'high', expected a number"),
        ({"gate": {"slices": ["moon"]}}, "gate.slices: found moon, expected features: "),
        (
            {"serving": {"rollout": "linear", "step_percent": 5}},
            "serving.step_percent: found 5, a linear step is 10",
        ),
        ({"serving": {"rollback_alarms": list("abcdefg")}}, "serving.rollback_alarms: found 7, at most 6"),
        (
            {"contract": {"key": ["tail"]}},
            "contract.key: found tail, expected columns of the model: departure",
        ),
        (
            {"contract": {"min_rows": 9, "max_rows": 8}},
            "contract.min_rows: found 9, which is above max_rows 8",
        ),
        (
            {"contract": {"max_bad_share": 2}},
            "contract.max_bad_share: found 2, expected a number from 0.0 to",
        ),
        ({"triggers": {"quiet_seconds": 901}}, "triggers.quiet_seconds: found 901, expected a whole number"),
        (
            {"triggers": {"delivery": "mail"}},
            "triggers.delivery: found 'mail', expected one of files, manifest",
        ),
        (
            {"training": {"window": "90"}},
            "training.window: found '90', expected all, such as 90 days, or such",
        ),
        (
            {"training": {"instance_type": "ml.q1.huge"}},
            "triggers.usd_per_hour: missing; no price is known of ml.q1.huge",
        ),
        (
            {"features": {"distance": {"type": "number", "deciles": [1, 2]}}},
            "features.distance.deciles: found [1.0, 2.0], expected nine ascending numbers",
        ),
        (
            {"training": {"estimator": "xgboost"}},
            "training.estimator: found 'xgboost', expected hist_gradient_boosting",
        ),
        (
            {"training": {"holdout_share": 0.9}},
            "training.holdout_share: found 0.9, expected a number from 0.05 to 0.5",
        ),
        (
            {"serving": {"instance_type": "m5.large"}},
            "serving.instance_type: found 'm5.large', expected text like ml",
        ),
        (
            {"serving": {"instance_count": True}},
            "serving.instance_count: found True, expected a whole number",
        ),
        ({"features": {}}, "features: found {}, expected one key per input column"),
        (
            {"features": {"a": {"type": "text"}}},
            "features.a.type: found 'text', expected one of number, category",
        ),
        ({"features": {"a": {"min": 2, "max": 1}}}, "features.a.min: found 2, which is above max 1"),
        (
            {"features": {"a": {"type": "category", "min": 1}}},
            "features.a.min/max: only numbers have a range",
        ),
        ({"features": {"a b": {}}}, "features.a b.name: found 'a b', expected text like"),
        ({"features": {"a": "number"}}, "features.a: found 'number', expected keys such as type"),
    ],
)
def test_an_error_names_the_key_what_was_found_and_what_is_allowed(changes, message):
    assert any(f"model.yaml: {message}" in error for error in _errors(**changes))


def test_a_missing_key_is_named():
    with pytest.raises(SpecError, match="target: missing; expected text"):
        parse({k: v for k, v in MINIMAL.items() if k != "target"})


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda c: st.lists(c) | st.dictionaries(st.text(), c),
    )
)
def test_any_junk_is_refused_with_an_error_of_ours(junk):
    with pytest.raises(SpecError):
        parse(junk)


@given(
    st.sampled_from([*MINIMAL, "training", "gate", "serving", "monitoring"]),
    st.none() | st.integers() | st.text() | st.lists(st.integers()),
)
def test_a_junk_value_under_a_known_key_never_crashes(key, junk):
    try:
        spec = parse({**MINIMAL, key: junk})
    except SpecError:
        return
    assert spec.gate.metric in METRICS[spec.task]


def test_the_reference_model_loads_and_its_seed_has_its_columns():
    spec = load(["flights"])["flights"]
    path = seed_file("flights")
    assert path.read_text(encoding="utf-8").splitlines()[0].split(",") == list(spec.columns)
    assert path.stat().st_size < 1_000_000


def test_an_override_replaces_one_key_and_keeps_the_others():
    spec = load(["flights"], {"flights": {"gate": {"minimum": 0.7}}})["flights"]
    assert (spec.gate.minimum, spec.gate.metric) == (0.7, "roc_auc")


def test_errors_of_several_files_are_reported_together(tmp_path: Path):
    for name, text in {"one": "task: [", "two": "task: ranking"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.yaml").write_text(text)
    with pytest.raises(SpecError) as caught:
        load(["one", "two", "three"], {"four": {}}, root=tmp_path)
    text = str(caught.value)
    assert "one/model.yaml: not readable as YAML" in text
    assert "two/model.yaml: task: found 'ranking'" in text
    assert "three/model.yaml: no such file; models here: one, two" in text
    assert "overrides.four: no such model in this stack" in text
