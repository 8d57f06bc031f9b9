"""The job of a check with the image's real server: what passes, and every way of not passing."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from inference.preflight.recorded import Recorded
from sandbox.image import Image
from tests.inference.preflight.running import (
    ENVIRONMENT,
    Check,
    model,
    plan,
    requests,
    run,
    serving,
    write_inputs,
)

pytestmark = pytest.mark.image

ASKED = requests(0.1, 0.2, 0.3, 0.4, 0.45, 0.6, 0.7, 0.8)
REFUSES_LARGE = 'if any(row["size"] > 0.5 for row in rows): return Response("too large", 422)'


@pytest.fixture
def check(folder: Path, image: Image) -> Any:
    """Runs one check; nothing of it may be left running."""

    def run_check(
        challenger: Mapping[str, str],
        champion: Mapping[str, str] | None = None,
        asked: list[Recorded] = ASKED,
        **changes: Any,
    ) -> Check:
        changes |= {} if champion is not None else {"champion": None}
        found = run(
            folder, image, lambda tree: write_inputs(tree, plan(**changes), asked, challenger, champion)
        )
        assert found.exit_code == 0, "\n".join(found.lines)
        assert not processes_below(found.folder.parents[1])
        return found

    return run_check


def processes_below(tree: Path) -> list[int]:
    """Processes whose working directory or environment is in the tree."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"SAGEMAKER_BASE_DIR={tree}" in (entry / "environ").read_text(
                "latin-1"
            ):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def refused(found: Check) -> str:
    assert found.document["passed"] is False
    assert found.message == f"refused: {found.document['reason']}"
    assert "Refused." in found.page
    return str(found.document["reason"])


@pytest.fixture(scope="module")
def found(folder: Path, image: Image) -> Check:
    """The check of a good version."""
    sample = {"instances": [{"size": 0.5, "kind": "a"}], "predictions": [{"score": 0.6, "label": 1}]}
    challenger = model(1.2, **{"sample.json": json.dumps(sample)})
    return run(folder, image, lambda tree: write_inputs(tree, plan(), ASKED, challenger, model(1.0)))


class TestAGoodVersion:
    """One run, looked at from all sides."""

    def test_passes_with_a_reason_in_words(self, found: Check) -> None:
        assert found.document["passed"] is True, found.document["reason"]
        assert "answered 8 recorded requests" in found.message
        assert "1 of 8 labels would change" in found.message

    def test_is_timed(self, found: Check) -> None:
        document = found.document
        assert document["timed"] == 100
        assert 0 < document["p50_milliseconds"] <= document["p99_milliseconds"] < 250
        assert document["burst_p99_milliseconds"] > 0
        assert document["started_seconds"] > 0

    def test_is_compared_with_what_serves_now(self, found: Check) -> None:
        shadow = found.document["shadow"]
        assert (shadow["compared"], shadow["changed_labels"]) == (8, 1)
        assert shadow["mean_abs_difference"] == pytest.approx(0.2 * 3.55 / 8)
        worst = shadow["worst"][0]
        assert worst["values"] == {"size": 0.45, "kind": "k0.45"}
        assert (worst["before"]["label"], worst["after"]["label"]) == ("0", "1")

    def test_gets_a_page(self, found: Check) -> None:
        assert "k0.45" in found.page
        assert "<svg" in found.page


class TestAVersionIsRefused:
    """The job succeeds and says why the version does not."""

    def test_whose_code_cannot_be_imported(self, check: Any) -> None:
        found = check(model(module="import nothing_like_this\n"))
        assert "exit code 1" in refused(found)
        assert "No module named 'nothing_like_this'" in refused(found)
        assert any("nothing_like_this" in line for line in found.document["log"])

    def test_whose_model_cannot_be_loaded(self, check: Any) -> None:
        module = serving().replace("    return float", '    raise OSError("changed")\n    return float')
        assert refused(check(model(module=module))).startswith("the server answers /ping with 500")

    def test_that_hangs_at_its_start(self, check: Any) -> None:
        begun = time.monotonic()
        found = check(model(module="import time\ntime.sleep(600)\n"), start_seconds=4.0)
        assert refused(found) == "the server did not answer /ping within 4 s"
        assert time.monotonic() - begun < 30

    def test_that_answers_500(self, check: Any) -> None:
        reason = refused(check(model(module=serving(status=500)), model(1.0)))
        assert reason.startswith("8 of 8 requests are not answered with 200 any more; the first: 500:")

    def test_that_refuses_what_was_answered(self, check: Any) -> None:
        found = check(model(module=serving(before=REFUSES_LARGE)), model(1.0))
        assert refused(found).startswith("3 of 8 requests are not answered with 200 any more; the first: 422")
        assert found.document["errors"] == 3

    def test_that_is_too_slow(self, check: Any) -> None:
        reason = refused(
            check(model(module=serving(before="time.sleep(0.1)")), model(1.0), max_latency_milliseconds=50.0)
        )
        assert "allowed are 50 ms (gate.max_latency_milliseconds)" in reason

    def test_that_hangs_at_a_request_within_the_time_for_the_check(self, check: Any) -> None:
        reason = refused(check(model(module=serving(before="time.sleep(600)")), check_seconds=12.0))
        assert "ms" in reason or "not finished within 12 s" in reason

    def test_that_answers_no_numbers(self, check: Any) -> None:
        reason = refused(check(model(module=serving(before="model = float('nan')")), model(1.0)))
        assert reason == "request 1: row 1 is answered with the score nan, which is no number"

    def test_that_answers_its_own_sample_otherwise_than_in_its_training(self, check: Any) -> None:
        sample = {"instances": [{"size": 0.5}], "predictions": [{"score": 0.9, "label": 1}]}
        reason = refused(check(model(1.2, **{"sample.json": json.dumps(sample)})))
        assert reason.startswith("row 1 of the sample of its own training: found score 0.6")

    def test_whose_archive_is_none(self, check: Any, folder: Path, image: Image) -> None:
        def inputs(tree: Path) -> None:
            write_inputs(tree, plan(champion=None), ASKED, {}, None)
            (tree / "processing/input/challenger/model.tar.gz").write_bytes(b"no archive")

        found = run(folder, image, inputs)
        assert found.exit_code == 0
        assert refused(found).startswith("model.tar.gz is no readable model archive")


class TestWhatServesNow:
    def test_excuses_the_requests_it_does_not_answer_itself(self, check: Any) -> None:
        module = serving(before=REFUSES_LARGE)
        found = check(model(1.1, module), model(1.0, module))
        assert found.document["passed"] is True, found.document["reason"]
        assert (found.document["errors"], found.document["shadow"]["compared"]) == (0, 5)

    @pytest.mark.parametrize(
        ("module", "note"),
        [("import nothing_like_this\n", "nothing_like_this"), (serving(status=500), "answers none")],
    )
    def test_holds_nothing_up_when_it_is_broken(self, check: Any, module: str, note: str) -> None:
        found = check(model(1.0), model(1.0, module))
        assert found.document["passed"] is True, found.document["reason"]
        assert found.document["shadow"] is None
        assert note in found.document["notes"][0]
        assert note in found.page


def test_a_version_that_nobody_asked_anything_is_checked_for_its_start(check: Any) -> None:
    found = check(model(1.0), asked=[])
    assert found.document["passed"] is True
    assert (found.document["requests"], found.document["p99_milliseconds"]) == (0, None)


def test_a_plan_that_cannot_be_read_fails_the_job(folder: Path, image: Image) -> None:
    found = run(folder, image, lambda tree: write_inputs(tree, {"schema": 0}, ASKED, model(), None))
    assert found.exit_code == 1
    assert "found schema 0, expected 1" in found.message


def test_the_toys_have_the_variables_of_real_versions() -> None:
    from infra.serving import serving_environment
    from models.load import load

    own = set(serving_environment(load(["flights"])["flights"], "eu-central-1"))
    assert set(ENVIRONMENT) <= own
    assert "SAGEMAKER_BASE_DIR" not in os.environ
