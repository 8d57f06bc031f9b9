"""Runs the job and says how it ended, to people and to machines."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from pathlib import Path

from training import settings as job_settings
from training.errors import TrainingError

# FailureReason holds as many characters:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html
MAX_FAILURE_LENGTH = 1024


def main(environment: Mapping[str, str]) -> int:
    """Train as the environment says.

    Returns:
        The exit code: 0, or 1 after the reason was written to the failure file and as the last line of the
        log.
    """
    try:
        settings = job_settings.load(environment)
        from training import job  # late: a job with wrong settings fails without waiting for scikit-learn

        evaluation = job.run(settings)
    except TrainingError as error:
        return _fail(str(error), environment)
    except Exception as error:  # noqa: BLE001 - whatever happens, the job's FailureReason must say it
        traceback.print_exc()
        return _fail(f"unexpected {type(error).__name__}: {error}", environment)
    for line in job.metric_lines(evaluation):
        print(line)
    rows, window = evaluation["rows"], evaluation["window"]
    if rows["available"] > rows["total"]:
        left = rows["available"] - rows["total"]
        print(f"{left:,} rows before {window['from']} left out (training.window: {window['setting']})")
    print(
        f"fitted on {rows['fitted']:,} rows, evaluated on {rows['holdout']:,} from "
        f"{window['holdout_from']} on, {rows['duplicates']:,} duplicates dropped"
        + (f"; {evaluation['note']}" if evaluation["note"] else "")
    )
    return 0


def _fail(reason: str, environment: Mapping[str, str]) -> int:
    reason = reason if len(reason) <= MAX_FAILURE_LENGTH else reason[: MAX_FAILURE_LENGTH - 3] + "..."
    _write_failure(job_settings.failure_file(environment), reason)
    # One of the two start programs an image may hold overwrites the failure file; this line survives both.
    print(json.dumps({"upkeep": "error", "error": reason}), flush=True)
    return 1


def _write_failure(path: Path, reason: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(reason, encoding="utf-8")
    except OSError as error:
        print(f"{path}: the failure text could not be written: {error}")
