"""Runs the check in its container and leaves the two documents; what the job's entry point calls."""

from __future__ import annotations

import html
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from inference.preflight import job, places
from inference.preflight import settings as check_settings
from inference.preflight.settings import CONTAINER_ROOT, Folders, SettingsError

# ExitMessage holds as many: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeProcessingJob.html
MAX_MESSAGE = 1024


def main() -> int:
    """Check as the input says.

    Returns:
        0, also for a challenger that does not pass; 1 when there could be no check.
    """
    signal.signal(signal.SIGTERM, _terminated)
    folders = Folders(Path(os.environ.get("SAGEMAKER_BASE_DIR", CONTAINER_ROOT)))
    try:
        settings = check_settings.load(folders.input / "check")
        folders.work.mkdir(parents=True, exist_ok=True)
        document = job.run(settings, folders).to_dict(settings)
        _write(document, folders)
    except SettingsError as error:
        return _fail(folders, str(error))
    except Exception as error:  # noqa: BLE001 - whatever happens, the job's ExitMessage must say it
        traceback.print_exc()
        return _fail(folders, f"unexpected {type(error).__name__}: {error}")
    _say(folders, f"{'passed' if document['passed'] else 'refused'}: {document['reason']}")
    return 0


def _write(document: Mapping[str, Any], folders: Folders) -> None:
    folders.output.mkdir(parents=True, exist_ok=True)
    (folders.output / places.REPORT).write_text(_page(document), encoding="utf-8")
    text = json.dumps(document, indent=1, allow_nan=False)
    (folders.output / places.RESULT).write_text(text + "\n", encoding="utf-8")
    for line in document["log"]:
        print(f"server: {line}")


def _page(document: Mapping[str, Any]) -> str:
    """The report; one that cannot be drawn holds no release up."""
    try:
        from inference.preflight import report

        return report.render(document)
    except Exception as error:  # noqa: BLE001 - check.json decides, and is written in any case
        traceback.print_exc()
        why = html.escape(repr(error))
        return f"<!doctype html>\n<p>The report could not be drawn: {why}; see check.json.</p>\n"


def _fail(folders: Folders, reason: str) -> int:
    _say(folders, reason)
    return 1


def _say(folders: Folders, text: str) -> None:
    print(text, flush=True)
    try:
        folders.message.parent.mkdir(parents=True, exist_ok=True)
        folders.message.write_text(text[:MAX_MESSAGE], encoding="utf-8")
    except OSError as error:
        print(f"{folders.message}: {error}", file=sys.stderr)


def _terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    """The job was stopped: leave by the way that stops what was started."""
    raise SystemExit(143)
